import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { metricInfo } from "../../src/observe/metrics.ts";

/** Numbers that a clock decides. */
function isClock(metric: string): boolean {
  return metricInfo(metric)?.timing === true;
}

function withoutClocks(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !isClock(name)));
}

/** The rows of a log of JSON lines, less the numbers that a clock decides. */
export async function logRows(path: string): Promise<Record<string, unknown>[]> {
  return rowsOf(await readFile(path, "utf8"));
}

function rowsOf(text: string): Record<string, unknown>[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => withoutClocks(JSON.parse(line) as Record<string, unknown>));
}

/** The fields of a protocol buffer message: numbers of varints and floats, bytes of the rest. */
function* fieldsOf(message: Buffer): Generator<[field: number, value: number | Buffer]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++]!;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    const length = wire === 0 ? 0 : wire === 1 ? 8 : wire === 5 ? 4 : varint();
    if (wire === 0) yield [field, varint()];
    else if (wire === 5) yield [field, message.readFloatLE(at)];
    else yield [field, message.subarray(at, at + length)];
    at += length;
  }
}

/**
 * Reads a TensorBoard file, less its clocks: per record its version or its step and scalars.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc, core/util/event.proto.
 */
function boardRows(file: Buffer): unknown[] {
  const rows: unknown[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    const row: Record<string, unknown> = {};
    for (const [field, value] of fieldsOf(file.subarray(at + 12, at + 12 + length))) {
      if (field === 2) row["step"] = value;
      if (field === 3) row["version"] = String(value);
      if (field !== 5) continue;
      for (const [, scalar] of fieldsOf(value as Buffer)) {
        const parts = new Map(fieldsOf(scalar as Buffer));
        const tag = String(parts.get(1));
        if (!isClock(tag)) row[tag] = parts.get(2);
      }
    }
    rows.push(row);
    at += length + 16;
    if (at > file.length) rows.push("a record without its end");
  }
  return rows;
}

function traceRows(text: string): unknown[] {
  const events = JSON.parse(text) as Record<string, unknown>[];
  return events.map(({ ts: _ts, dur: _dur, ...event }) => event);
}

function stateOf(text: string): unknown {
  const state = JSON.parse(text) as Record<string, unknown>;
  delete state["seconds"];
  // Clock times have any number of digits, so a log that holds them has any length.
  const { pending } = state["logs"] as { pending: Record<string, unknown> };
  return { ...state, logs: withoutClocks(pending) };
}

function manifestOf(text: string): unknown {
  const manifest = JSON.parse(text) as { files: Record<string, number> };
  const { "state.json": _clocks, ...files } = manifest.files;
  return { ...manifest, files };
}

/** Text that may name its run folder and say how long the run took. */
function plainText(text: string, folder: string): string {
  const name = basename(folder);
  return text
    .replaceAll(folder, "RUN")
    .replace(`\n# ${name}\n`, "\n# RUN\n")
    .replaceAll(`>${name}: `, ">RUN: ")
    .replace(/ [\d.]+ minutes, /, " N minutes, ");
}

function contentOf(path: string, bytes: Buffer, folder: string): unknown {
  const name = basename(path);
  const text = () => bytes.toString("utf8");
  if (name === "trace.json") return traceRows(text());
  if (name.includes(".tfevents.")) return boardRows(bytes);
  if (name === "state.json") return stateOf(text());
  if (name === "manifest.json") return manifestOf(text());
  if (name.endsWith(".jsonl")) return rowsOf(text());
  if (/\.(md|svg|yaml)$/.test(name) || name === "run.json") return plainText(text(), folder);
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Every file of a run folder by its path, as what must not depend on whether the run was stopped:
 * clock times and the folder's own name are left out, all else is there bit for bit.
 *
 * @param only the step of the one checkpoint that is taken, for a run whose stops left others.
 */
export async function runFiles(folder: string, only?: number): Promise<Map<string, unknown>> {
  const files = new Map<string, unknown>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  for (const path of paths) {
    const step = /^checkpoint-(\d+)\//.exec(path)?.[1];
    if (only !== undefined && step !== undefined && Number(step) !== only) continue;
    files.set(path, contentOf(path, await readFile(join(folder, path)), folder));
  }
  return files;
}
