import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  openCheckpoint,
  openSafetensors,
  type TensorStore,
} from "../../src/checkpoint/safetensors.ts";
import { readBytes } from "#io";
import { bytesSource } from "../../src/io/byte-source.ts";
import type { Device } from "../../src/gpu/device.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import type { ModelConfig } from "../../src/network/config.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import type { PatchGrid } from "../../src/network/media.ts";
import { mergeFeeds, type Feed } from "../../src/network/feed.ts";
import { IGNORE, packedFeed, packTrees, type Tree } from "../../src/network/decoder/packed.ts";
import { audioTokens } from "../../src/network/towers/audio-layout.ts";
import { visionTokens } from "../../src/prompt/layout.ts";
import type { LedgerEntry, Sample } from "../../src/prompt/sample.ts";
import { matchTensors } from "../../src/checkpoint/match-tensors.ts";
import { storedSource, type WeightSource } from "../../src/checkpoint/weight-source.ts";
import { ModelWeights, type Training } from "../../src/checkpoint/weights.ts";

const root = fileURLToPath(new URL("../golden/", import.meta.url));

/** Path of a golden checkpoint or case; a name without a folder is of Omni. */
function pathOf(name: string): string {
  return `${root}${name.includes("/") ? name : `omni/${name}`}`;
}

/** A tiny checkpoint made by transformers, and its weights on the GPU; `vl/tiny-a`, for example. */
export async function loadGoldenModel(
  device: Device,
  name: string,
  training?: Training,
  options: { tied?: boolean } = {},
): Promise<{ config: FamilyModel; weights: ModelWeights }> {
  const config = parseModelConfig(readFileSync(`${pathOf(name)}/config.json`, "utf8"));
  const store = await openCheckpoint(pathOf(name));
  const tensors = new Map(store.tensors);
  if (options.tied === true) tensors.delete("lm_head.weight");
  const sources = new Map<string, WeightSource>();
  const byStored = new Map<string, WeightSource>();
  const matched = matchTensors(config, tensors, name);
  for (const [canonical, stored] of matched) {
    const source = byStored.get(stored) ?? storedSource(store, stored);
    byStored.set(stored, source);
    sources.set(canonical, source);
  }
  const weights = await ModelWeights.load(device, sources, config.tensors, training);
  await store.close();
  return { config, weights };
}

/** One golden case: a safetensors file written by make_goldens.py. */
export class GoldenCase {
  readonly store: TensorStore;

  /** Folder of the case. */
  readonly folder: string;

  private constructor(store: TensorStore, folder: string) {
    this.store = store;
    this.folder = folder;
  }

  /** Opens a case by name. */
  static async open(name: string): Promise<GoldenCase> {
    const path = `${pathOf(name)}.safetensors`;
    const store = await openSafetensors(bytesSource(await readBytes(path)), path);
    return new GoldenCase(store, path.slice(0, path.lastIndexOf("/") + 1));
  }

  /**
   * The sequence of a batch as a case of its own: its tensors have `.{index}` behind the name.
   *
   * @param media folder of the pool of pixels, when it is another one.
   */
  sequence(index: number, media?: URL): GoldenCase {
    const suffix = `.${index}`;
    const tensors = new Map(
      [...this.store.tensors]
        .filter(([name]) => name.endsWith(suffix))
        .map(([name, info]) => [name.slice(0, -suffix.length), info]),
    );
    const read = (name: string) => this.store.read(name + suffix);
    const readF32 = (name: string) => this.store.readF32(name + suffix);
    const folder = media === undefined ? this.folder : fileURLToPath(media);
    return new GoldenCase({ ...this.store, tensors, read, readF32 }, folder);
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
  const path = `${golden.folder}media.safetensors`;
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

/** All pictures of a case: images come before videos in transformers' feature lists. */
export async function goldenPictures(golden: GoldenCase, { vision }: ModelConfig) {
  if (vision === undefined) return [];
  const images = await mediaPatches(golden, "image", vision.patchDim);
  return [...images, ...(await mediaPatches(golden, "video", vision.patchDim))];
}

/** All clips of a case: [melBins, columns] and the frames of the clip itself. */
export async function goldenClips(golden: GoldenCase, { audio }: ModelConfig) {
  if (audio === undefined) return [];
  const lengths = await golden.integers("feature_lengths");
  const clips: { mel: Float32Array; frames: number }[] = [];
  for (let i = 0; golden.has(`input_features.${i}`); i++) {
    const mel = await golden.floats(`input_features.${i}`);
    clips.push({ mel, frames: lengths[i] ?? mel.length / audio.melBins });
  }
  return clips;
}

/** Rows of a sequence that hold one of some placeholders. */
function rowsOf(ids: Uint32Array, ...wanted: (number | undefined)[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(ids.keys()).filter((row) => wanted.includes(ids[row]!));
}

/** Makes the inputs of a model's towers for pictures and clips. */
export function towerFeeds(
  { vision, audio }: ModelConfig,
  pictures: readonly { grid: PatchGrid; patches: Float32Array }[],
  clips: readonly { mel: Float32Array; frames: number }[],
): Feed[] {
  const mel = clips.map(({ mel: data, frames }) => ({ data, frames }));
  const media = [
    ...pictures.map(({ grid, patches }) => ({ grids: [grid], patches, mel: [] })),
    { grids: [], patches: new Float32Array(), mel },
  ];
  return [vision, audio].flatMap((tower) => tower?.feed(media) ?? []);
}

/** Everything that a whole forward pass of a golden case is fed, with its labels as loss rows. */
export async function goldenFeed(golden: GoldenCase, config: ModelConfig): Promise<Feed> {
  return (await feedOf([golden], config)).feed;
}

/** The feed of all sequences of a batch, packed one after the other, and their lengths. */
export async function goldenBatch(
  golden: GoldenCase,
  config: ModelConfig,
): Promise<{ feed: Feed; lengths: number[] }> {
  const sequences: GoldenCase[] = [];
  while (golden.has(`input_ids.${sequences.length}`)) {
    sequences.push(golden.sequence(sequences.length));
  }
  return feedOf(sequences, config);
}

async function feedOf(sequences: readonly GoldenCase[], config: ModelConfig) {
  const { image, video, audio } = config.tokens;
  const trees: Tree[] = [];
  const pictures: Awaited<ReturnType<typeof goldenPictures>> = [];
  const clips: Awaited<ReturnType<typeof goldenClips>> = [];
  for (const golden of sequences) {
    const ids = Uint32Array.from(await golden.integers("input_ids"));
    const labels = await golden.integers("labels");
    const positions = await goldenPositions(golden, ids.length);
    const nextPos = Math.max(...positions) + 1;
    const [visionRows, audioRows] = [rowsOf(ids, image, video), rowsOf(ids, audio)];
    // A row predicts the token after it.
    const promptLabels = [...labels.subarray(1), IGNORE];
    const prompt = { inputIds: ids, positions, nextPos, visionRows, audioRows };
    trees.push({ prompt, promptLabels, branches: [] });
    pictures.push(...(await goldenPictures(golden, config)));
    clips.push(...(await goldenClips(golden, config)));
  }
  const packed = packTrees(trees);
  const weight = new Float32Array(packed.lossRows.length).fill(1 / packed.lossRows.length);
  const loss: Feed = { inputs: { "loss.weight": weight }, sizes: {}, scalars: {} };
  const feeds = [...towerFeeds(config, pictures, clips), packedFeed(config, packed), loss];
  return { feed: mergeFeeds(...feeds), lengths: packed.shapes.map(({ prompt }) => prompt) };
}

/** [3, tokens]; a model with plain positions stores one row, or none. */
async function goldenPositions(
  golden: GoldenCase,
  tokens: number,
): Promise<Int32Array<ArrayBuffer>> {
  const stored = await golden.integers("position_ids");
  if (stored.length === 3 * tokens) return Int32Array.from(stored);
  return Int32Array.from({ length: 3 * tokens }, (_, i) => stored[i % tokens] ?? i % tokens);
}

/** The first `length` tokens of a golden case as a sample, with everything a generator needs. */
export async function goldenSample(
  golden: GoldenCase,
  config: ModelConfig,
  row: string,
  length: number,
  nextPos: number,
): Promise<Sample> {
  const ids = Uint32Array.from(await golden.integers("input_ids"));
  const all = await goldenPositions(golden, ids.length);
  const positions = new Int32Array(3 * length);
  for (let axis = 0; axis < 3; axis++) {
    positions.set(all.subarray(axis * ids.length, axis * ids.length + length), axis * length);
  }
  const inputIds = ids.slice(0, length);
  const { audio, image, video } = config.tokens;
  const media = await goldenPictures(golden, config);
  const patches = new Float32Array(media.reduce((sum, { patches: p }) => sum + p.length, 0));
  let at = 0;
  for (const { patches: part } of media) {
    patches.set(part, at);
    at += part.length;
  }
  const clips = await goldenClips(golden, config);
  const mel = clips.map(({ mel: data, frames }) => ({
    data: cropped(data, config.audio!.melBins, config.audio!.columns(frames)),
    frames,
  }));
  const entry = (kind: LedgerEntry["kind"], frames: number, rows: number): LedgerEntry => ({
    ...{ kind, file: row, medium: 0, frames, seconds: 0 },
    featureRows: rows,
    placeholders: rows,
  });
  return {
    id: row,
    inputIds,
    positions,
    nextPos,
    visionRows: rowsOf(inputIds, image, video),
    audioRows: rowsOf(inputIds, audio),
    placeholders: [],
    patches,
    grids: media.map(({ grid }) => grid),
    mel,
    ledger: [
      ...media.map(({ grid }) =>
        entry("video", grid[0], visionTokens(grid, config.vision!.mergeSize)),
      ),
      ...mel.map(({ frames }) => entry("audio", frames, audioTokens(frames))),
    ],
    warnings: [],
  };
}

/** The first columns of a matrix of `rows` rows. */
export function cropped(data: Float32Array, rows: number, columns: number): Float32Array {
  const given = data.length / rows;
  if (given === columns) return data;
  const out = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    out.set(data.subarray(row * given, row * given + columns), row * columns);
  }
  return out;
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
