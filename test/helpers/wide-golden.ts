import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fileSource } from "#io";
import { openSafetensors } from "../../src/checkpoint/safetensors.ts";
import type { WideName } from "./wide-checkpoint.ts";
import { wideInput } from "./wide-values.ts";

type Grid = [frames: number, rows: number, columns: number];

/** Every `stride`-th value of an output of transformers, and the norm of all of it. */
export interface SampledOutput {
  shape: number[];
  stride: number;
  /** L2 norm of the whole output. */
  norm: number;
  /** Values 0, stride, 2 * stride, ... of the row-major output. */
  values: Float32Array;
}

/** One prompt with its media, and what transformers made of it. */
export interface WideGolden {
  name: WideName;
  inputIds: Uint32Array;
  /** [3, tokens] row-major; three equal rows for Qwen2-Audio. */
  positions: Int32Array;
  /** Position of the first generated token, on all axes. */
  nextPosition: number;
  /** Patch rows of 1176 values: all images come before all videos. */
  images: { grid: Grid; patches: Float32Array }[];
  videos: { grid: Grid; patches: Float32Array; secondsPerGrid: number }[];
  /** mel: [128, frames]; `valid` of the frames belong to the clip (Qwen2-Audio gives all 3000). */
  clips: { mel: Float32Array; frames: number; valid: number }[];
  /** Tower outputs, `hidden.0`, `hidden.1`, and `logits` of the last two rows of the prompt. */
  outputs: Map<string, SampledOutput>;
  /** Best ids and their logits of the last two rows, best first. */
  top: { ids: number[]; values: number[] }[];
  /** Placeholder ids that greedy decoding may not choose. */
  suppressed: number[];
  greedy: number[];
  /** Best minus second-best allowed logit at each greedy step. */
  greedyMargins: number[];
}

/** The fields of `test/golden/wide/NAME.json`. */
interface WideFile {
  input_ids: number[];
  position_ids: number[][];
  next_position: number;
  image_grid_thw: Grid[];
  video_grid_thw: Grid[];
  video_second_per_grid: number[];
  mel: { frames: number; valid: number } | null;
  suppressed: number[];
  greedy: number[];
  greedy_margins: number[];
  top_ids: number[][];
  outputs: Record<string, { shape: number[]; stride: number; norm: number }>;
}

const FOLDER = fileURLToPath(new URL("../golden/wide/", import.meta.url));
const PATCH_VALUES = 1176;
const MEL_BINS = 128;

/** Reads the golden of a wide checkpoint and draws its media. */
export async function openWideGolden(name: WideName): Promise<WideGolden> {
  const file = JSON.parse(readFileSync(`${FOLDER}${name}.json`, "utf8")) as WideFile;
  const path = `${FOLDER}${name}.safetensors`;
  const store = await openSafetensors(await fileSource(path), path);
  const outputs = new Map<string, SampledOutput>();
  for (const [key, about] of Object.entries(file.outputs)) {
    outputs.set(key, { ...about, values: await store.readF32(key) });
  }
  const topValues = await store.readF32("top_values");
  await store.close();
  const grids = [...file.image_grid_thw, ...file.video_grid_thw];
  const counts = grids.map(([t, h, w]) => PATCH_VALUES * t * h * w);
  const pixels = wideInput(
    "input.pixels",
    counts.reduce((sum, count) => sum + count, 0),
  );
  let at = 0;
  const media = grids.map((grid, i) => {
    at += counts[i]!;
    return { grid, patches: pixels.slice(at - counts[i]!, at) };
  });
  const images = media.slice(0, file.image_grid_thw.length);
  return {
    name,
    inputIds: Uint32Array.from(file.input_ids),
    positions: Int32Array.from(file.position_ids.flat()),
    nextPosition: file.next_position,
    images,
    videos: media.slice(images.length).map((video, i) => ({
      ...video,
      secondsPerGrid: file.video_second_per_grid[i]!,
    })),
    clips: file.mel
      ? [{ ...file.mel, mel: wideInput("input.mel", MEL_BINS * file.mel.frames) }]
      : [],
    outputs,
    top: file.top_ids.map((ids, row) => ({
      ids,
      values: [...topValues.subarray(row * ids.length, (row + 1) * ids.length)],
    })),
    suppressed: file.suppressed,
    greedy: file.greedy,
    greedyMargins: file.greedy_margins,
  };
}

/**
 * Relative L2 distance from a golden output at its sampled values.
 *
 * @param output - row-major; the whole output, or its part from value `first` on (the last row of
 *   the logits is the part from `shape[1]` on).
 * @returns for a whole output, the distance or the relative error of its norm, whichever is larger.
 * @throws {RangeError} when the output is longer than the golden, or a part without a sample.
 */
export function wideError(golden: SampledOutput, output: ArrayLike<number>, first = 0): number {
  const { shape, stride, norm, values } = golden;
  const length = shape.reduce((product, size) => product * size, 1);
  if (first + output.length > length) {
    const found = `${output.length} values from ${first} on`;
    throw new RangeError(`The golden has [${shape.join(", ")}] values; given are ${found}.`);
  }
  let error = 0;
  let energy = 0;
  for (let i = Math.ceil(first / stride); i * stride < first + output.length; i++) {
    error += (output[i * stride - first]! - values[i]!) ** 2;
    energy += values[i]! ** 2;
  }
  if (energy === 0) throw new RangeError("No sampled value of the golden lies in this part.");
  const distance = Math.sqrt(error / energy);
  if (output.length < length) return distance;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += output[i]! ** 2;
  return Math.max(distance, Math.abs(Math.sqrt(sum) - norm) / norm);
}
