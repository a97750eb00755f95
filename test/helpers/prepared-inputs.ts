import { readBytes } from "#io";
import { bytesSource } from "../../src/io/byte-source.ts";
import { openSafetensors, type TensorStore } from "../../src/checkpoint/safetensors.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";
import type { ModelConfig } from "../../src/network/config.ts";
import type { GoldenCase } from "./golden.ts";

/** Tensors by name with their shapes; whole numbers are arrays of int32. */
export type Tensors = Record<string, { shape: number[]; values: Int32Array | Float32Array }>;

/** The bytes of a safetensors file that holds them. */
export function tensorBytes(tensors: Tensors): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(
    Object.entries(tensors).map(([name, { shape, values }]) => ({
      ...{ name, shape },
      dtype: values instanceof Int32Array ? ("I32" as const) : ("F32" as const),
      data: values,
    })),
  );
}

/** They as an open file. */
export function tensorStore(tensors: Tensors): Promise<TensorStore> {
  return openSafetensors(bytesSource(tensorBytes(tensors)), "inputs.safetensors");
}

const joined = (parts: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
};

/**
 * The inputs of a golden case as a Hugging Face processor returns them, labels too; a batch of
 * sequences is padded on the left.
 */
export async function goldenInputs(golden: GoldenCase, config: ModelConfig): Promise<Tensors> {
  const batch = golden.has("padded_length");
  const names: string[] = [];
  while (batch && golden.has(`input_ids.${names.length}`)) names.push(`.${names.length}`);
  if (!batch) names.push("");
  const ids = await Promise.all(names.map((end) => golden.integers(`input_ids${end}`)));
  const length = batch ? (await golden.integers("padded_length"))[0]! : ids[0]!.length;
  const plane = (fill: number) => new Int32Array(names.length * length).fill(fill);
  const [inputIds, mask, labels] = [plane(config.tokens.pad ?? 0), plane(0), plane(-100)];
  const seconds: number[] = [];
  const clips: { mel: Float32Array; frames: number }[] = [];
  const patches = { image: [] as Float32Array[], video: [] as Float32Array[] };
  const grids = { image: [] as number[], video: [] as number[] };
  for (const [row, end] of names.entries()) {
    const first = (row + 1) * length - ids[row]!.length;
    inputIds.set(ids[row]!, first);
    mask.fill(1, first, (row + 1) * length);
    labels.set(await golden.integers(`labels${end}`), first);
    for (const kind of ["image", "video"] as const) {
      const own = await golden.integers(`${kind}_grid_thw${end}`);
      if (own.length === 0) continue;
      const pool = `${golden.folder}media.safetensors`;
      const file = await openSafetensors(bytesSource(await readBytes(pool)), pool);
      const width = config.vision!.patchDim;
      const [from, to] = await golden.integers(`${kind}_pixel_range${end}`);
      patches[kind].push((await file.readF32("pixels")).subarray(from! * width, to! * width));
      grids[kind].push(...own);
    }
    const secondsName = `video_second_per_grid${end}`;
    if (golden.has(secondsName)) seconds.push(...(await golden.floats(secondsName)));
    const lengths = await golden.integers(`feature_lengths${end}`);
    for (let clip = 0; golden.has(`input_features.${clip}${end}`); clip++) {
      const mel = await golden.floats(`input_features.${clip}${end}`);
      clips.push({ mel, frames: lengths[clip] ?? mel.length / config.audio!.melBins });
    }
  }
  const tensors: Tensors = {
    input_ids: { shape: [names.length, length], values: inputIds },
    attention_mask: { shape: [names.length, length], values: mask },
    labels: { shape: [names.length, length], values: labels },
  };
  for (const [kind, pixels] of [
    ["image", "pixel_values"],
    ["video", "pixel_values_videos"],
  ] as const) {
    if (grids[kind].length === 0) continue;
    const values = joined(patches[kind]);
    const { patchDim } = config.vision!;
    tensors[pixels] = { shape: [values.length / patchDim, patchDim], values };
    const grid = Int32Array.from(grids[kind]);
    tensors[`${kind}_grid_thw`] = { shape: [grid.length / 3, 3], values: grid };
  }
  if (seconds.length > 0) {
    const name = config.audio === undefined ? "second_per_grid_ts" : "video_second_per_grid";
    tensors[name] = { shape: [seconds.length], values: Float32Array.from(seconds) };
  }
  if (clips.length > 0) Object.assign(tensors, soundInputs(clips, config.audio!.melBins));
  return tensors;
}

/** Clips padded to the longest, with the mask of their frames. */
function soundInputs(clips: readonly { mel: Float32Array; frames: number }[], bins: number) {
  const columns = Math.max(...clips.map(({ mel }) => mel.length / bins));
  const values = new Float32Array(clips.length * bins * columns);
  const mask = new Int32Array(clips.length * columns);
  clips.forEach(({ mel, frames }, clip) => {
    const own = mel.length / bins;
    for (let bin = 0; bin < bins; bin++) {
      values.set(mel.subarray(bin * own, (bin + 1) * own), (clip * bins + bin) * columns);
    }
    mask.fill(1, clip * columns, clip * columns + frames);
  });
  return {
    input_features: { shape: [clips.length, bins, columns], values },
    feature_attention_mask: { shape: [clips.length, columns], values: mask },
  };
}
