import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { encodeHeader, byteLength, sortTensors } from "../../src/checkpoint/safetensors-writer.ts";
import { parseModelConfig } from "../../src/families/registry.ts";

const TINY = new URL("../golden/omni/tiny-a/config.json", import.meta.url);
const BLOCK_BYTES = 2 ** 24;

/**
 * Writes a bf16 checkpoint with a tied head whose embedding has `vocabulary` rows of 128 bytes, and
 * whose decoder has nine matrices of `intermediate` times 128 bytes.
 *
 * @returns bytes of all tensors.
 */
export async function writeBigCheckpoint(
  folder: string,
  vocabulary: number,
  intermediate: number,
): Promise<number> {
  const config = JSON.parse(readFileSync(TINY, "utf8")) as Record<string, object>;
  config["text_config"] = {
    ...config["text_config"],
    vocab_size: vocabulary,
    intermediate_size: intermediate,
  };
  const text = JSON.stringify({ ...config, tie_word_embeddings: true });
  await writeFile(join(folder, "config.json"), text);
  const parsed = parseModelConfig(text);
  const tensors = [...parsed.tensors]
    .filter(([name]) => name !== "lm_head.weight")
    .map(([name, { shape }]) => ({
      name: parsed.names.stored(name),
      dtype: "BF16" as const,
      shape,
    }));
  // Magnitudes from 2^-15 to 2, both signs, every mantissa.
  const block = Uint16Array.from({ length: BLOCK_BYTES / 2 }, (_, i) => {
    const hash = Math.imul(i + 1, 0x9e3779b1) >>> 8;
    return ((hash & 1) << 15) | ((112 + ((hash >>> 1) & 15)) << 7) | ((hash >>> 5) & 127);
  });
  const file = await open(join(folder, "model.safetensors"), "w");
  await file.write(encodeHeader(sortTensors(tensors), { format: "pt" }));
  const total = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  for (let left = total; left > 0; left -= BLOCK_BYTES) {
    await file.write(new Uint8Array(block.buffer, 0, Math.min(left, BLOCK_BYTES)));
  }
  await file.close();
  return total;
}

/** The measurements of a process while it loaded a checkpoint. */
export interface LoadMemory {
  /** Bytes on the GPU. */
  gpuBytes: number;
  /** Most bytes that were resident beyond those before the load and those that the GPU had by then. */
  peakExtra: number;
  /** Resident bytes at the end beyond those before the load and those on the GPU. */
  endExtra: number;
  seconds: number;
  inexact: number;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const child = fileURLToPath(new URL("load-memory.ts", import.meta.url));

/** Loads a checkpoint in a child process, which is this driver's, too. */
export async function measureLoad(
  folder: string,
  storage: "f32" | "f16s",
  tier: string,
): Promise<LoadMemory> {
  const args = ["--expose-gc", "--import", "tsx", child, folder, storage, tier];
  const { stdout } = await run(process.execPath, args, { cwd: root });
  return JSON.parse(stdout) as LoadMemory;
}
