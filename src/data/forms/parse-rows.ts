import { AubadeError, DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { RawRow } from "../../tables/read-table.ts";
import type { DataRow, DataSet } from "../dataset.ts";
import { parseRow, type RowOptions } from "./parse-row.ts";

/** Rows of which one error tells. */
const TOLD = 5;

/**
 * Makes a data set of rows that are read.
 *
 * @throws {DataError} `bad-row` where two have one id or there is none, `bad-rows` for several.
 */
export function parseRows(
  raw: readonly RawRow[],
  options: RowOptions,
  { name, digest }: { name: string; digest: string },
): DataSet {
  const rows: DataRow[] = [];
  const seen = new Map<string, string>();
  const errors: AubadeError[] = [];
  for (const { value, place } of raw) {
    try {
      const row = parseRow(value, place, options);
      const before = seen.get(row.id);
      if (before !== undefined) {
        throw new DataError("bad-row", `${place}: id ${quoted(row.id)} is that of ${before} too.`, {
          hint: "Give every row an id of its own, or none.",
        });
      }
      seen.set(row.id, place);
      rows.push(row);
    } catch (error) {
      if (!(error instanceof AubadeError)) throw error;
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0]!;
  if (errors.length > 1) {
    const told = errors.slice(0, TOLD).map(({ message }) => message);
    const more = errors.length > TOLD ? ` And ${errors.length - TOLD} more.` : "";
    throw new DataError(
      "bad-rows",
      `${name}: ${errors.length} of ${raw.length} rows are wrong. ${told.join(" ")}${more}`,
    );
  }
  if (rows.length === 0) {
    throw new DataError("bad-row", `${name}: it has no row.`, {
      hint: "Give it rows: one JSON object a line, say.",
    });
  }
  return { length: rows.length, digest, row: (index) => rows[index]! };
}
