import { readText } from "#io";
import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { DataRow, DataSet } from "../../data/dataset.ts";
import { parseRows } from "../../data/forms/parse-rows.ts";
import { sha256 } from "../../io/byte-source.ts";
import { joinPath } from "../../io/path.ts";
import type { MediaPart } from "../../text/chat-template.ts";
import { type RawRow, readTable } from "../../tables/read-table.ts";
import type { ReleaseSettings } from "./settings.ts";

/** A row in its makers' keys. */
export type Raw = Readonly<Record<string, unknown>>;

/** A row in aubade's keys; its other columns are those of its makers. */
export interface ReleaseRow {
  id: string;
  /** The question, of which the template makes a prompt; or messages in its place. */
  question?: string;
  prompt?: readonly object[];
  options?: readonly string[];
  answer?: string;
  answer_index?: number;
  problem_type?: string;
  media: readonly MediaPart[];
  /** Names besides its id by which a list may leave it out, such as its clip's. */
  names?: readonly string[];
}

/** Translates a row; the place is for messages. */
export type Translate = (raw: Raw, place: string) => ReleaseRow;

/**
 * Opens rows of files in a folder, as their makers publish them.
 *
 * @param files names in the folder, one after the other.
 * @param answered whether conversations may end with the assistant's answer.
 * @throws {DataError} of the files; `bad-row` and others for rows, which name file and row;
 *   `unknown-exclusion` for an id to leave out that no row has.
 */
export async function openRelease(
  { path, prompt, exclude }: ReleaseSettings,
  files: readonly string[],
  translate: Translate,
  answered = false,
): Promise<DataSet> {
  const tables = await Promise.all(files.map((file) => readTable(joinPath(path, file))));
  const lists = await Promise.all(exclude.map(readIds));
  const digest = await sha256([...tables.map((table) => table.digest), ...lists.flat()].join(" "));
  const rows = tables.flatMap((table) => table.rows);
  const kept = leftIn(
    rows.map((row) => translated(row, translate)),
    exclude,
    lists,
  );
  const options = { template: prompt, format: "aubade", folder: path, answered } as const;
  const set = parseRows(
    kept.map(({ row, place }) => ({ value: asRow(row), place })),
    options,
    { name: path, digest },
  );
  const withColumns = (index: number): DataRow => ({
    ...set.row(index),
    columns: kept[index]!.raw,
  });
  return { length: set.length, digest, row: withColumns };
}

interface Translated {
  raw: Raw;
  row: ReleaseRow;
  place: string;
}

function translated({ value, place }: RawRow, translate: Translate): Translated {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError("bad-row", `${place}: it is no object.`, {
      hint: "Take the file as its makers publish it.",
    });
  }
  return { raw: value as Raw, row: translate(value as Raw, place), place };
}

function asRow({ names: _names, ...row }: ReleaseRow): object {
  return row;
}

async function readIds(file: string): Promise<string[]> {
  const text = await readText(file);
  if (!text.trimStart().startsWith("[")) {
    return text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  }
  const list: unknown = JSON.parse(text);
  if (Array.isArray(list) && list.every((id) => typeof id === "string" || typeof id === "number")) {
    return list.map(String);
  }
  throw new DataError("bad-exclusion", `${file} is no list of ids.`, {
    hint: "Give a JSON list of texts or numbers, or one id a line.",
  });
}

/** Leaves out the rows that lists name; each name must be one that a row has. */
function leftIn(
  rows: readonly Translated[],
  files: readonly string[],
  lists: readonly (readonly string[])[],
): Translated[] {
  const namesOf = ({ row }: Translated) => [row.id, ...(row.names ?? [])];
  const known = new Set(rows.flatMap(namesOf));
  lists.forEach((list, at) => {
    const unknown = list.filter((id) => !known.has(id));
    if (unknown.length === 0) return;
    throw new DataError(
      "unknown-exclusion",
      `${files[at]}: ${unknown.length} of ${list.length} ids are of no row, such as ${quoted(unknown[0])}.`,
      { hint: "Take the list that was made for this data set, or remove these ids." },
    );
  });
  const out = new Set(lists.flat());
  return rows.filter((row) => !namesOf(row).some((name) => out.has(name)));
}

/**
 * Returns a value of a row that must be a text.
 *
 * @throws {DataError} `bad-row` that names place and key.
 */
export function textAt(raw: Raw, key: string, place: string): string {
  const value = raw[key];
  if (typeof value === "string" && value.trim() !== "") return value;
  if (typeof value === "number") return String(value);
  throw wrongKey(place, key, value, "a text");
}

/**
 * Returns a value of a row that must be a list of texts; a text that prints one, as some copies have
 * it, is refused like any other.
 *
 * @throws {DataError} `bad-row` that names place and key.
 */
export function textsAt(raw: Raw, key: string, place: string): string[] {
  const value = raw[key];
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string")) {
    return value;
  }
  throw wrongKey(place, key, value, "a list of texts");
}

function wrongKey(place: string, key: string, value: unknown, wanted: string): DataError {
  const found = value === undefined ? "missing" : quoted(value, 60);
  return new DataError("bad-row", `${place}: ${key} is ${found}; it must be ${wanted}.`, {
    hint: "Take the file as its makers publish it, or list the row's id in exclude.",
  });
}
