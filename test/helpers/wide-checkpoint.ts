import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WIDE_RECIPE, wideTensor } from "./wide-values.ts";

/** The checkpoints of real width: one per family, two layers a part. */
export type WideName = "omni-7b" | "vl-3b" | "qwen2-audio-7b";

/** The result of {@link writeWideCheckpoint}. */
export interface WideCheckpoint {
  folder: string;
  tensors: number;
  bytes: number;
  seconds: number;
}

const MANIFESTS = new URL("../golden/manifests/", import.meta.url);
const GOLDENS = new URL("../golden/wide/", import.meta.url);
const SLICE_BYTES = 16 * 2 ** 20;
const SHARD_BYTES = 2 ** 30;

/** The `config.json` of a wide checkpoint: the released one with the overrides of the recipe. */
export function wideConfig(name: WideName): string {
  const text = readFileSync(new URL(`${name}/config.json`, MANIFESTS), "utf8");
  const config = JSON.parse(text) as Record<string, unknown>;
  for (const [path, value] of Object.entries(WIDE_RECIPE.overrides[name]!)) {
    const keys = path.split(".");
    const last = keys.pop()!;
    let section = config;
    for (const key of keys) section = section[key] as Record<string, unknown>;
    section[last] = value;
  }
  return JSON.stringify(config, undefined, 1);
}

/** Hub names and shapes of a wide checkpoint, in the order of its shards. */
export function wideTensors(name: WideName): Map<string, number[]> {
  const text = readFileSync(new URL(`${name}/tensors.json`, MANIFESTS), "utf8");
  const { tensors } = JSON.parse(text) as {
    tensors: { pattern: string; count?: number; shape: number[] }[];
  };
  const shapes = new Map<string, number[]>();
  for (const { pattern, count = 1, shape } of tensors) {
    for (let i = 0; i < Math.min(count, WIDE_RECIPE.layers); i++) {
      shapes.set(pattern.replace("{}", `${i}`), shape);
    }
  }
  return shapes;
}

/**
 * Writes a wide checkpoint in the Hugging Face layout: config.json, an index, bf16 shards of 1 GiB.
 *
 * A tensor larger than a shard has one to itself. Two slices of 16 MiB are in memory: one is
 * filled while the other is written. Each tensor's checksum is compared with the golden's.
 *
 * @throws {Error} when a tensor is not what the golden was made with.
 */
export async function writeWideCheckpoint(name: WideName, folder: string): Promise<WideCheckpoint> {
  const began = performance.now();
  const golden = readFileSync(new URL(`${name}.json`, GOLDENS), "utf8");
  const { checksums } = JSON.parse(golden) as { checksums: Record<string, number> };
  const shards = intoShards(wideTensors(name));
  const weightMap: Record<string, string> = {};
  let total = 0;
  let tensors = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => `${n}`.padStart(5, "0");
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    const sums = await writeShard(join(folder, file), shard);
    for (const { tensor, bytes } of shard) {
      if (sums.get(tensor) !== checksums[tensor]) {
        const found = `checksum ${sums.get(tensor)}, the golden's is ${checksums[tensor]}`;
        throw new Error(`${name}: "${tensor}" has ${found}. Run make_wide.py again.`);
      }
      weightMap[tensor] = file;
      total += bytes;
      tensors++;
    }
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  await writeFile(
    join(folder, "model.safetensors.index.json"),
    JSON.stringify(index, undefined, 1),
  );
  await writeFile(join(folder, "config.json"), wideConfig(name));
  return { folder, tensors, bytes: total, seconds: (performance.now() - began) / 1000 };
}

/** Writes a wide checkpoint into a temporary folder, hands it to `use`, and removes it. */
export async function withWideCheckpoint<T>(
  name: WideName,
  use: (checkpoint: WideCheckpoint) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `aubade-${name}-`));
  try {
    return await use(await writeWideCheckpoint(name, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface ShardEntry {
  tensor: string;
  shape: number[];
  bytes: number;
}

function intoShards(tensors: Map<string, number[]>): ShardEntry[][] {
  const shards: ShardEntry[][] = [];
  let size = Infinity;
  for (const [tensor, shape] of tensors) {
    const bytes = 2 * shape.reduce((product, n) => product * n, 1);
    if (size + bytes > SHARD_BYTES) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push({ tensor, shape, bytes });
    size += bytes;
  }
  return shards;
}

/** Writes one safetensors file, and returns the sum of each tensor's 32-bit words mod 2^32. */
async function writeShard(path: string, entries: ShardEntry[]): Promise<Map<string, number>> {
  const file = await open(path, "w");
  try {
    const out = new SlicedWriter(file);
    await file.write(shardHeader(entries));
    const sums = new Map<string, number>();
    for (const { tensor, shape, bytes } of entries) {
      const values = wideTensor(tensor, shape);
      const pairs = bytes / 4;
      let sum = 0;
      for (let at = 0; at < pairs;) {
        const words = await out.room(pairs - at);
        sum += values.fill(words, at);
        at += words.length;
      }
      sums.set(tensor, sum % 2 ** 32);
    }
    await out.finish();
    return sums;
  } finally {
    await file.close();
  }
}

function shardHeader(entries: ShardEntry[]): Uint8Array {
  const table: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { tensor, shape, bytes } of entries) {
    table[tensor] = { dtype: "BF16", shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(table));
  const length = Math.ceil(json.length / 8) * 8;
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  return header;
}

/** Appends to a file from two slices, so that one can be filled while the other is written. */
class SlicedWriter {
  private readonly file: FileHandle;
  private readonly slices = [0, 1].map(() => new Int32Array(SLICE_BYTES / 4));
  private used = 0;
  private pending: Promise<void> = Promise.resolve();

  constructor(file: FileHandle) {
    this.file = file;
  }

  /** The next part of the file to fill, at most `words` long. */
  async room(words: number): Promise<Int32Array> {
    if (this.used === this.slices[0]!.length) await this.flush();
    const start = this.used;
    this.used = Math.min(start + words, this.slices[0]!.length);
    return this.slices[0]!.subarray(start, this.used);
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.pending;
  }

  private async flush(): Promise<void> {
    await this.pending;
    const full = this.slices.shift()!;
    this.pending = writeAll(this.file, new Uint8Array(full.buffer, 0, 4 * this.used));
    // A failed write is met by whoever awaits it next; until then it must not count as unhandled.
    this.pending.catch(() => {});
    this.slices.push(full);
    this.used = 0;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await file.write(bytes, at)).bytesWritten;
  }
}
