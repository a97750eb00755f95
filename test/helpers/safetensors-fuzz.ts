import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { CheckpointError, ShapeError } from "../../src/core/errors.ts";
import { Random } from "../../src/core/random.ts";
import { type ByteSource, bytesSource } from "../../src/io/byte-source.ts";
import {
  openCheckpoint,
  openSafetensors,
  type TensorStore,
} from "../../src/checkpoint/safetensors.ts";
import { mutantFile, mutantFolder } from "./safetensors-mutants.ts";
import { floatsOf, type Promised, promisedPlaces, promisedTensors } from "./safetensors-oracle.ts";

/** Longest time for one file, which takes a few milliseconds; the machine may be busy. */
const LIMIT_MS = 10_000;
const FOLDER = "https://weights.test/some/folder";

/** How many mutants were read, and how many refused. */
export interface FuzzCounts {
  read: number;
  refused: number;
}

/**
 * Reads mutants of the seeds `from` to `to` - 1, alternately files and folders, and compares what
 * the reader makes of each with what the format says: the same bytes, or an error that names it.
 */
export async function fuzzSafetensors(from: number, to: number): Promise<FuzzCounts> {
  const counts: FuzzCounts = { read: 0, refused: 0 };
  for (let seed = from; seed < to; seed++) {
    const start = performance.now();
    try {
      const kind = seed % 4;
      // Folders on a disk have failures of their own, but a disk is slow.
      const read = await (kind < 2 ? fuzzFile(seed) : fuzzFolder(seed, seed % 16 === 2));
      if (read) counts.read++;
      else counts.refused++;
      expect(performance.now() - start).toBeLessThan(LIMIT_MS);
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  return counts;
}

/** Counts on a source: no read may ask for more than the file has. */
function watched(bytes: Uint8Array, name: string): ByteSource {
  const source = bytesSource(bytes, name);
  return {
    size: source.size,
    read: (offset, length) => {
      expect(offset >= 0 && length >= 0 && offset + length <= bytes.length).toBe(true);
      return source.read(offset, length);
    },
  };
}

async function fuzzFile(seed: number): Promise<boolean> {
  const bytes = mutantFile(new Random(seed, "data"));
  const name = `file-${seed}.safetensors`;
  return compare(() => openSafetensors(watched(bytes, name), name), promisedTensors(bytes), {
    names: [name],
    bytes: bytes.length,
  });
}

async function fuzzFolder(seed: number, onDisk: boolean): Promise<boolean> {
  const files = mutantFolder(new Random(seed, "data"));
  const bytes = Math.max(0, ...[...files.values()].map(({ length }) => length));
  const limits = { names: [...files.keys(), "some/folder"], bytes };
  if (!onDisk) {
    return withServer(files, () => {
      return compare(() => openCheckpoint(FOLDER), promisedByFolder(files), limits);
    });
  }
  const folder = await mkdtemp(join(tmpdir(), "aubade-fuzz-"));
  try {
    for (const [name, content] of files) await writeFile(join(folder, name), content);
    const names = [...files.keys(), folder];
    return await compare(() => openCheckpoint(folder), promisedByFolder(files), { names, bytes });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function promisedByFolder(
  files: ReadonlyMap<string, Uint8Array>,
): Map<string, Promised> | undefined {
  const whole = files.get("model.safetensors");
  if (whole !== undefined) return promisedTensors(whole);
  const index = files.get("model.safetensors.index.json");
  const places = index && promisedPlaces(index);
  if (places === undefined) return undefined;
  const tensors = new Map<string, Promised>();
  for (const [name, place] of places) {
    const file = files.get(place);
    const tensor = file && promisedTensors(file)?.get(name);
    if (tensor === undefined) return undefined;
    tensors.set(name, tensor);
  }
  return tensors;
}

/** Serves files in memory to `fetch`, which may ask for nothing outside their folder. */
async function withServer<T>(
  files: ReadonlyMap<string, Uint8Array>,
  work: () => Promise<T>,
): Promise<T> {
  const original = globalThis.fetch;
  const outside: string[] = [];
  globalThis.fetch = async (url, init) => {
    const asked = new Request(url).url;
    // The address as a browser sends it: dots and percent signs may lead elsewhere.
    if (!new URL(asked).href.startsWith(`${FOLDER}/`)) outside.push(asked);
    const bytes = files.get(asked.slice(FOLDER.length + 1));
    if (bytes === undefined) return new Response(null, { status: 404 });
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get("range") ?? "");
    if (init?.method === "HEAD") return new Response(null);
    if (range === null || bytes.length === 0) return new Response(bytes.slice());
    const [begin, end] = [Number(range[1]), Number(range[2]) + 1];
    if (end > bytes.length || begin >= end) outside.push(`${asked} from ${begin} to ${end}`);
    const headers = { "content-range": `bytes ${begin}-${end - 1}/${bytes.length}` };
    return new Response(bytes.slice(begin, end), { status: 206, headers });
  };
  try {
    return await work();
  } finally {
    globalThis.fetch = original;
    expect(outside).toEqual([]);
  }
}

/** @returns whether the tensors were read, rather than refused. */
async function compare(
  open: () => Promise<TensorStore>,
  promised: ReadonlyMap<string, Promised> | undefined,
  limits: { names: readonly string[]; bytes: number },
): Promise<boolean> {
  let store: TensorStore;
  try {
    store = await open();
  } catch (error) {
    if (!(error instanceof CheckpointError || error instanceof ShapeError)) throw error;
    const { message } = error;
    expect(
      limits.names.some((name) => message.includes(name)),
      message,
    ).toBe(true);
    expect(message.length, message.slice(0, 500)).toBeLessThan(3000);
    expect(promised, `a file that is as it should be is refused: ${message}`).toBeUndefined();
    return false;
  }
  try {
    if (promised === undefined) throw new Error("a damaged file is read");
    expect(new Set(store.tensors.keys())).toEqual(new Set(promised.keys()));
    for (const [name, tensor] of promised) await compareTensor(store, name, tensor, limits.bytes);
    return true;
  } finally {
    await store.close();
  }
}

async function compareTensor(
  store: TensorStore,
  name: string,
  { dtype, shape, bytes }: Promised,
  limit: number,
): Promise<void> {
  const info = store.tensors.get(name)!;
  expect([info.name, info.dtype, info.bytes]).toEqual([name, dtype, bytes.length]);
  expect(sameValues(info.shape, shape)).toBe(true);
  const got = await store.read(name);
  expect(sameValues(got, bytes)).toBe(true);
  const middle = Math.floor(bytes.length / 3);
  const part = await store.readRange(name, middle, bytes.length - middle);
  expect(sameValues(part, bytes.subarray(middle))).toBe(true);
  const floats = floatsOf({ dtype, shape, bytes });
  if (floats === undefined) {
    await expect(store.readF32(name)).rejects.toThrow(ShapeError);
    return;
  }
  const values = await store.readF32(name);
  expect(sameValues(values, floats)).toBe(true);
  expect(values.byteLength).toBeLessThanOrEqual(2 * limit);
}

function sameValues(got: ArrayLike<number>, want: ArrayLike<number>): boolean {
  return (
    got.length === want.length && Array.from(got).every((value, i) => Object.is(value, want[i]))
  );
}
