import { sha256 } from "../io/byte-source.ts";
import type { DataRow, DataSet } from "./dataset.ts";
import { parseRows } from "./forms/parse-rows.ts";

/**
 * Makes a data set of rows in memory, in a form of docs/data.md or as {@link DataRow}; media may be
 * bytes.
 *
 * @param name what places in messages begin with.
 * @param folder what paths of media are relative to.
 * @param answered whether rows may end with the assistant's answer, for supervised training.
 * @throws {DataError} naming every row that is wrong, or that there is none.
 */
export async function ofRows(
  rows: readonly object[],
  name = "rows",
  folder = ".",
  answered = false,
): Promise<DataSet> {
  const raw = rows.map((value, i) => ({ value, place: `${name}[${i}]` }));
  const set = parseRows(
    raw,
    { template: "default", folder, answered },
    { name, digest: await digestOf(rows) },
  );
  const row = (index: number) => {
    const { kind } = rows[index] as Partial<DataRow>;
    const read = set.row(index);
    return typeof kind === "string" && read.problem_type === undefined ? { ...read, kind } : read;
  };
  return { ...set, row };
}

/** A hash of rows, of the bytes of their media too. */
async function digestOf(rows: readonly object[]): Promise<string> {
  const held: (Uint8Array | Blob)[] = [];
  const text = JSON.stringify(rows, (_key, value: unknown) => {
    if (!(value instanceof Uint8Array || value instanceof Blob)) return value;
    return `bytes ${held.push(value)}`;
  });
  const hashes = await Promise.all(
    held.map(async (one) =>
      sha256(one instanceof Blob ? new Uint8Array(await one.arrayBuffer()) : new Uint8Array(one)),
    ),
  );
  return sha256([text, ...hashes].join("\n"));
}
