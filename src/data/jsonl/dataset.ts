import { AubadeError, DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { DataRow, DataSet } from "../dataset.ts";
import { type RawRow, readTable } from "../files/read-table.ts";
import type { FormName } from "../forms/forms.ts";
import { parseRow, type RowOptions } from "../forms/parse-row.ts";
import { folderOf } from "../media-paths.ts";
import type { PromptName } from "../prompts/prompts.ts";

/** Rows of which one error tells. */
const TOLD = 5;

/**
 * Opens the rows of a file: JSON Lines, a JSON array, CSV or Parquet, in aubade's form or in that of
 * another trainer (docs/data.md). Paths of media are relative to the file's folder. All rows are read
 * at once, none of their media.
 *
 * @param template of rows without a prompt.
 * @param format form of the rows; undefined finds it by the keys of each.
 * @throws {DataError} that names file, row and key, or `bad-rows` for several.
 */
export async function openJsonl(
  path: string,
  template: PromptName = "default",
  format?: FormName,
): Promise<DataSet> {
  const { rows, digest } = await readTable(path);
  return rowsOf(rows, { template, format, folder: folderOf(path) }, { name: path, digest });
}

/**
 * Makes a data set of rows that are read.
 *
 * @throws {DataError} `bad-row` where two have one id or there is none, `bad-rows` for several.
 */
export function rowsOf(
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
