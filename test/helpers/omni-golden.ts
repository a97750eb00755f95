import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openCheckpoint, openSafetensors, type TensorStore } from "../../src/io/safetensors.ts";
import { readBytes } from "#io";
import { bytesSource } from "../../src/io/byte-source.ts";
import type { Device } from "../../src/gpu/device.ts";
import { audioFeed } from "../../src/models/qwen2-5-omni/audio.ts";
import { parseOmniConfig, type OmniConfig } from "../../src/models/qwen2-5-omni/config.ts";
import { mergeFeeds, type Feed } from "../../src/models/qwen2-5-omni/feed.ts";
import { packedFeed, type PackedTrees } from "../../src/models/qwen2-5-omni/packed.ts";
import { audioTokens } from "../../src/models/qwen2-5-omni/audio-layout.ts";
import { visionTokens } from "../../src/models/qwen2-5-omni/positions.ts";
import type { LedgerEntry, Sample } from "../../src/models/qwen2-5-omni/sample.ts";
import { visionFeed } from "../../src/models/qwen2-5-omni/vision.ts";
import { matchTensors } from "../../src/models/qwen2-5-omni/weight-names.ts";
import { ModelWeights, type Training, type WeightSource } from "../../src/models/weights.ts";

const folder = fileURLToPath(new URL("../golden/omni/", import.meta.url));

/** A tiny checkpoint made by transformers, and its weights on the GPU. */
export async function loadGoldenModel(
  device: Device,
  name: string,
  training?: Training,
  options: { tied?: boolean } = {},
): Promise<{ config: OmniConfig; weights: ModelWeights }> {
  const config = parseOmniConfig(readFileSync(`${folder}${name}/config.json`, "utf8"));
  const store = await openCheckpoint(`${folder}${name}`);
  const tensors = new Map(store.tensors);
  if (options.tied === true) tensors.delete("lm_head.weight");
  const sources = new Map<string, WeightSource>();
  const byStored = new Map<string, WeightSource>();
  for (const [canonical, stored] of matchTensors(config, tensors, name)) {
    const shape = store.tensors.get(stored)!.shape;
    const source = byStored.get(stored) ?? { shape, read: () => store.readF32(stored) };
    byStored.set(stored, source);
    sources.set(canonical, source);
  }
  const weights = await ModelWeights.load(device, sources, training);
  await store.close();
  return { config, weights };
}

/** One golden case: a safetensors file written by make_goldens.py. */
export class GoldenCase {
  readonly store: TensorStore;

  private constructor(store: TensorStore) {
    this.store = store;
  }

  /** Opens a case by name. */
  static async open(name: string): Promise<GoldenCase> {
    const path = `${folder}${name}.safetensors`;
    return new GoldenCase(await openSafetensors(bytesSource(await readBytes(path)), path));
  }

  /** True when the case holds the tensor. */
  has(name: string): boolean {
    return this.store.tensors.has(name);
  }

  /** A float tensor. */
  floats(name: string): Promise<Float32Array> {
    return this.store.readF32(name);
  }

  /** An integer tensor, empty when the case lacks it. */
  async integers(name: string): Promise<Int32Array> {
    if (!this.has(name)) return new Int32Array();
    return new Int32Array((await this.store.read(name)).buffer);
  }
}

/** The patches and grids of all pictures or all videos of a case. */
export async function mediaPatches(
  golden: GoldenCase,
  kind: "image" | "video",
  patchDim: number,
): Promise<{ grid: [number, number, number]; patches: Float32Array }[]> {
  const grids = await golden.integers(`${kind}_grid_thw`);
  if (grids.length === 0) return [];
  const path = `${folder}media.safetensors`;
  const file = await openSafetensors(bytesSource(await readBytes(path)), path);
  const pool = await file.readF32("pixels");
  let at = (await golden.integers(`${kind}_pixel_range`))[0]!;
  const media = [];
  for (let i = 0; i < grids.length; i += 3) {
    const grid: [number, number, number] = [grids[i]!, grids[i + 1]!, grids[i + 2]!];
    const count = grid[0] * grid[1] * grid[2];
    media.push({ grid, patches: pool.slice(at * patchDim, (at + count) * patchDim) });
    at += count;
  }
  return media;
}

/** Everything that a whole forward pass of a golden case is fed, with its labels as loss rows. */
export async function goldenFeed(golden: GoldenCase, config: OmniConfig): Promise<Feed> {
  const ids = Uint32Array.from(await golden.integers("input_ids"));
  const labels = await golden.integers("labels");
  // Images come before videos in transformers' feature lists, and the goldens never mix them.
  const images = await mediaPatches(golden, "image", config.vision.patchDim);
  const videos = await mediaPatches(golden, "video", config.vision.patchDim);
  const clips: { mel: Float32Array; frames: number }[] = [];
  for (let i = 0; golden.has(`input_features.${i}`); i++) {
    const mel = await golden.floats(`input_features.${i}`);
    clips.push({ mel, frames: mel.length / config.audio.melBins });
  }
  const rowsOf = (...wanted: number[]) =>
    Uint32Array.from(ids.keys()).filter((row) => wanted.includes(ids[row]!));
  const lossRows = [...labels.keys()]
    .filter((row) => row > 0 && labels[row]! >= 0)
    .map((row) => ({ row: row - 1, target: labels[row]! }));
  const packed: PackedTrees = {
    tokens: ids.length,
    starts: [0],
    ids,
    positions: await golden.integers("position_ids"),
    visionRows: rowsOf(config.tokens.image, config.tokens.video),
    audioRows: rowsOf(config.tokens.audio),
    lossRows,
    shapes: [{ prompt: ids.length, branches: [] }],
  };
  const loss: Feed = {
    inputs: { "loss.weight": new Float32Array(lossRows.length).fill(1 / lossRows.length) },
    sizes: {},
    scalars: {},
  };
  return mergeFeeds(
    visionFeed(config.vision, [...images, ...videos]),
    audioFeed(config.audio, clips),
    packedFeed(config, packed),
    loss,
  );
}

/** The first `length` tokens of a golden case as a sample, with everything a generator needs. */
export async function goldenSample(
  golden: GoldenCase,
  config: OmniConfig,
  row: string,
  length: number,
  nextPos: number,
): Promise<Sample> {
  const ids = Uint32Array.from(await golden.integers("input_ids"));
  const all = await golden.integers("position_ids");
  const positions = new Int32Array(3 * length);
  for (let axis = 0; axis < 3; axis++) {
    positions.set(all.subarray(axis * ids.length, axis * ids.length + length), axis * length);
  }
  const inputIds = ids.slice(0, length);
  const { audio, image, video } = config.tokens;
  const rowsOf = (...wanted: number[]) =>
    Uint32Array.from(inputIds.keys()).filter((at) => wanted.includes(inputIds[at]!));
  const images = await mediaPatches(golden, "image", config.vision.patchDim);
  const videos = await mediaPatches(golden, "video", config.vision.patchDim);
  const media = [...images, ...videos];
  const patches = new Float32Array(media.reduce((sum, { patches: p }) => sum + p.length, 0));
  let at = 0;
  for (const { patches: part } of media) {
    patches.set(part, at);
    at += part.length;
  }
  const mel = [];
  for (let i = 0; golden.has(`input_features.${i}`); i++) {
    const data = await golden.floats(`input_features.${i}`);
    mel.push({ data, frames: data.length / config.audio.melBins });
  }
  const entry = (kind: LedgerEntry["kind"], frames: number, rows: number): LedgerEntry => ({
    ...{ kind, file: row, medium: 0, frames, seconds: 0 },
    featureRows: rows,
    placeholders: rows,
  });
  return {
    row,
    inputIds,
    positions,
    nextPos,
    visionRows: rowsOf(image, video),
    audioRows: rowsOf(audio),
    placeholders: [],
    patches,
    grids: media.map(({ grid }) => grid),
    mel,
    ledger: [
      ...media.map(({ grid }) =>
        entry("video", grid[0], visionTokens(grid, config.vision.mergeSize)),
      ),
      ...mel.map(({ frames }) => entry("audio", frames, audioTokens(frames))),
    ],
    warnings: [],
  };
}

/** Relative L2 distance. */
export function relativeL2(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let error = 0;
  let energy = 0;
  for (let i = 0; i < want.length; i++) {
    error += (got[i]! - want[i]!) ** 2;
    energy += want[i]! ** 2;
  }
  return Math.sqrt(error / (energy || 1));
}
