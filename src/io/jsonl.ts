import { fileSource } from "#io";
import { DataError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** One line of a JSON Lines file. */
export interface JsonLine {
  /** The parsed value. */
  value: unknown;
  /** Line number in the file, from 1. */
  line: number;
}

const CHUNK_BYTES = 1 << 20;

/**
 * Reads a JSON Lines file value by value, without holding the whole file; empty lines are skipped.
 *
 * @param input - a path, a URL or an open source (which stays open).
 * @param name - the name in messages; the path if left out.
 * @throws {DataError} `bad-json-line` with file and line number.
 */
export async function* readJsonl(
  input: string | ByteSource,
  name: string = typeof input === "string" ? input : "the file",
): AsyncGenerator<JsonLine> {
  const source = typeof input === "string" ? await fileSource(input) : input;
  try {
    let line = 0;
    for await (const text of splitLines(source)) {
      line++;
      if (text.some((byte) => byte > 0x20)) {
        yield { value: parseLine(text, line, name), line };
      }
    }
  } finally {
    if (typeof input === "string") await source.close?.();
  }
}

/** Lines are cut on bytes, so that a character may lie across two chunks. */
async function* splitLines(source: ByteSource): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = [];
  for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
    const chunk = await source.read(offset, Math.min(CHUNK_BYTES, source.size - offset));
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) yield concat(rest);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function parseLine(bytes: Uint8Array, line: number, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError("bad-json-line", `${name}:${line} is not one JSON value: ${reason}.`, {
      hint: "Mend or remove the line.",
      cause,
    });
  }
}
