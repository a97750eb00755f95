import type { DataSet } from "../../data/dataset.ts";
import type { FormName } from "../../data/forms/forms.ts";
import { parseRows } from "../../data/forms/parse-rows.ts";
import { folderOf } from "../../data/media-paths.ts";
import type { PromptName } from "../../data/prompts/prompts.ts";
import { readTable } from "../../tables/read-table.ts";

/**
 * Opens the rows of a file: JSON Lines, a JSON array, CSV or Parquet, in aubade's form or in that of
 * another trainer (docs/data.md). Paths of media are relative to the file's folder. All rows are read
 * at once, none of their media.
 *
 * @param template of rows without a prompt.
 * @param format form of the rows; undefined finds it by the keys of each.
 * @param answered whether a prompt may end with the assistant's answer.
 * @throws {DataError} that names file, row and key, or `bad-rows` for several.
 */
export async function openJsonl(
  path: string,
  template: PromptName = "default",
  format?: FormName,
  answered = false,
): Promise<DataSet> {
  const { rows, digest } = await readTable(path);
  return parseRows(
    rows,
    { template, format, folder: folderOf(path), answered },
    { name: path, digest },
  );
}
