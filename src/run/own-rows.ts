import type { RunConfig } from "../config/schema.ts";
import { DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { Events } from "../core/events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { sha256 } from "../io/byte-source.ts";
import { openData } from "../data/open.ts";
import { type Benchmark, openBenchmarks } from "../eval/held-out.ts";
import { benchmarkSchema } from "../eval/schema.ts";
import { ANSWERS } from "../eval/scorer.ts";
import type { Rows, RunParts, TrainOptions } from "./options.ts";

/**
 * Returns rows that a program hands in as a data set; bytes within their conversations are no part
 * of its digest.
 *
 * @param what the option's name, for messages.
 * @throws {DataError} `bad-row` for an empty list, or an id that two rows have: random numbers are
 *   keyed by it.
 */
async function setOf(rows: Rows, what: string): Promise<DataSet> {
  if (!isList(rows)) return rows;
  if (rows.length === 0) {
    throw new DataError("bad-row", `${what} is an empty list.`, { hint: "Hand in a row or more." });
  }
  const places = new Map<string, number>();
  for (const [index, { id }] of rows.entries()) {
    const before = places.get(id);
    if (before !== undefined) {
      const message = `${what}[${index}]: id ${quoted(id)} is that of ${what}[${before}] too.`;
      throw new DataError("bad-row", message, { hint: "Give every row an id of its own." });
    }
    places.set(id, index);
  }
  const plain = (_key: string, value: unknown) =>
    value instanceof Uint8Array || value instanceof Blob ? "bytes" : value;
  const digest = `${what} of a program: sha256 ${await sha256(JSON.stringify(rows, plain))}`;
  return { length: rows.length, digest, row: (index) => rows[index]! };
}

function isList(rows: Rows): rows is readonly DataRow[] {
  return Array.isArray(rows);
}

/** Opens the rows that a run trains on: the program's own, or those that `data` names. */
export async function openTraining(
  { data }: Pick<RunConfig, "data">,
  { data: own }: Pick<TrainOptions, "data">,
): Promise<DataSet> {
  if (own !== undefined) return setOf(own, "data");
  return (await openData(data, { split: "train", questions: null })).set;
}

/** Opens what is asked: the program's own questions, or the benchmarks that `eval` names. */
export async function openQuestions(
  config: Pick<RunConfig, "eval">,
  { questions }: Pick<RunParts, "questions">,
  events: Events,
): Promise<Benchmark[]> {
  if (questions === undefined) return openBenchmarks(config.eval, events);
  const set = await setOf(questions, "questions");
  const indices = Array.from({ length: set.length }, (_, index) => index);
  await set.prepare?.(indices, events);
  const rows = indices.map((index) => set.row(index));
  const settings = benchmarkSchema().parse({ name: "tiny" });
  return [{ name: "questions", settings, listed: false, rows, scorer: ANSWERS }];
}
