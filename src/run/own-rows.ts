import type { RunConfig } from "../config/schema.ts";
import type { Events } from "../core/events.ts";
import type { DataSet, OpenedData } from "../data/dataset.ts";
import { openData } from "../datasets/open.ts";
import { ofRows } from "../data/rows.ts";
import { type Benchmark, openBenchmarks } from "../eval/held-out.ts";
import { protocolOf } from "../eval/protocol.ts";
import { benchmarkSchema } from "../eval/schema.ts";
import { ANSWERS } from "../eval/scorer.ts";
import type { Rows, RunParts, TrainOptions } from "./options.ts";

/** The rows that a program hands in as a data set; `what` is the option's name. */
async function setOf(rows: Rows, what: string, answered = false): Promise<DataSet> {
  return isList(rows) ? ofRows(rows, what, ".", answered) : rows;
}

function isList(rows: Rows): rows is readonly object[] {
  return Array.isArray(rows);
}

/** Opens the rows that a run trains on: the program's own, or those that `data` names. */
export async function openTraining(
  { data, task }: Pick<RunConfig, "data" | "task">,
  { data: own }: Pick<TrainOptions, "data">,
  events: Events,
): Promise<OpenedData> {
  const answered = task === "sft";
  if (own !== undefined) return { set: await setOf(own, "data", answered) };
  return openData(data, { split: "train", questions: null, answered, events });
}

/** Opens what is asked: the program's own questions, or the benchmarks that `eval` names. */
export async function openQuestions(
  config: Pick<RunConfig, "eval" | "rollout">,
  { questions }: Pick<RunParts, "questions">,
  events: Events,
): Promise<Benchmark[]> {
  if (questions === undefined) return openBenchmarks(config, events);
  const set = await setOf(questions, "questions");
  const indices = Array.from({ length: set.length }, (_, index) => index);
  await set.prepare?.(indices, events);
  const rows = indices.map((index) => set.row(index));
  const settings = benchmarkSchema().parse({ name: "tiny" });
  const protocol = await protocolOf(settings, set.digest, config.rollout.max_completion_length);
  return [{ name: "questions", settings, listed: false, rows, scorer: ANSWERS, protocol }];
}
