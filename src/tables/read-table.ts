import { absolutePath, readBytes } from "#io";
import { AubadeError, DataError } from "../core/errors.ts";
import { baseName } from "../io/path.ts";
import { bytesSource } from "../io/byte-source.ts";
import { type JsonLine, readJsonl } from "../io/jsonl.ts";
import { sha256 } from "../io/byte-source.ts";
import { readCsv } from "./csv.ts";
import { readParquet } from "./parquet.ts";

/** One row of a file before anything is known of its keys. */
export interface RawRow {
  readonly value: unknown;
  /** Its place, such as `rows.jsonl:12`. */
  readonly place: string;
}

/** The rows of a file, and the digest of its bytes. */
export interface Table {
  readonly rows: readonly RawRow[];
  readonly digest: string;
}

/**
 * Reads all rows of a file: JSON Lines, a JSON array of objects (`.json`), comma-separated values
 * (`.csv`) or Parquet (`.parquet`); a file of another name is told by how it begins.
 *
 * @throws {DataError} `data-unreadable` with the place that was looked at; `bad-json-line`, `bad-csv`,
 *   `bad-parquet` that name file and line.
 */
export async function readTable(path: string): Promise<Table> {
  const bytes = await bytesOf(path);
  const digest = await sha256(bytes);
  const name = baseName(path);
  const at = (row: number): string => `${name}:${row}`;
  const kind = kindOf(name, bytes);
  if (kind === "parquet") {
    const values = await readParquet(bytes, path);
    return { digest, rows: values.map((value, i) => ({ value, place: `${name} row ${i + 1}` })) };
  }
  if (kind === "csv") {
    const lines = readCsv(utf8(bytes, path), path);
    return { digest, rows: lines.map(({ value, line }) => ({ value, place: at(line) })) };
  }
  if (kind === "array") {
    const values = parseArray(utf8(bytes, path), path);
    return { digest, rows: values.map((value, i) => ({ value, place: `${name} row ${i + 1}` })) };
  }
  const lines: JsonLine[] = [];
  for await (const line of readJsonl(bytesSource(bytes), path)) lines.push(line);
  return { digest, rows: lines.map(({ value, line }) => ({ value, place: at(line) })) };
}

async function bytesOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readBytes(path);
  } catch (cause) {
    const why = cause instanceof AubadeError ? cause.code.replaceAll("-", " ") : String(cause);
    const where = `${path} cannot be read (${why}): looked at ${absolutePath(path)}`;
    throw new DataError("data-unreadable", `${where}.`, {
      hint: "Check the path: one of a configuration is relative to its file, others to the current folder.",
      cause,
    });
  }
}

function kindOf(name: string, bytes: Uint8Array): "parquet" | "csv" | "array" | "lines" {
  const ending = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase();
  const head = String.fromCharCode(...bytes.subarray(0, 4));
  if (ending === "parquet" || head === "PAR1") return "parquet";
  if (ending === "csv") return "csv";
  if (ending === "jsonl" || ending === "ndjson") return "lines";
  const first = bytes.find((byte) => byte > 0x20 && byte < 0x80);
  return first === "[".charCodeAt(0) ? "array" : "lines";
}

function utf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError("not-utf8", `${path} is not UTF-8.`, { hint: "Save it as UTF-8.", cause });
  }
}

function parseArray(text: string, path: string): unknown[] {
  try {
    return JSON.parse(text) as unknown[];
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError("bad-json", `${path} is not a JSON array: ${reason}.`, {
      hint: "Mend it, or write one JSON object a line.",
      cause,
    });
  }
}
