/**
 * Prompts that another processor prepared: expanded ids and features under Hugging Face's names.
 *
 * Every run of placeholders is contracted to one, the family lays the prompt out again from grids and
 * lengths, and the result must be the ids that were given: what does not pair up is refused, never
 * shifted, cut or filled up.
 */
import { DataError } from "../core/errors.ts";
import type { TensorStore } from "../checkpoint/safetensors.ts";
import type { FamilyModel } from "../families/family.ts";
import type { ModelConfig } from "../network/config.ts";
import type { MelClip, PatchGrid } from "../network/media.ts";
import { contractRow, mediaTokens, noTokenizer, type PreparedMedia } from "./contract.ts";
import { type MediumShape, type PromptLayout, visionTokens } from "../prompt/layout.ts";
import { checkSoundLength } from "../prompt/media.ts";
import type { PaddedSound, PromptBatch } from "./prompt-batch.ts";
import { checkLedger, type LedgerEntry, type Sample, sealOf } from "../prompt/sample.ts";
import { TensorFile } from "./tensor-file.ts";

/** A picture or video of a file: its grid and the first of its patches. */
interface Pictures {
  grids: PatchGrid[];
  /** [patches, patchDim] f32 of all of them. */
  pixels: Float32Array;
}

/** The features of all rows of the file. */
interface Features {
  image: Pictures;
  video: Pictures;
  sounds: PaddedSound[];
  secondsPerGrid: number[];
}

/**
 * Reads prepared prompts from tensors.
 *
 * `input_ids` [S], [1, S] or [B, S] with `attention_mask` where rows are padded on the left or right;
 * `pixel_values`, `image_grid_thw`, `pixel_values_videos`, `video_grid_thw`, `video_second_per_grid`
 * or `second_per_grid_ts`, `input_features` with `feature_attention_mask`; `position_ids` in the place
 * of those that the family lays out; `labels`. Media are dealt out to rows in order.
 *
 * @throws {DataError} `bad-tensor`, `placeholder-mismatch`, `unsupported-medium`: each names the tensor,
 *   or the row and the medium with its counts.
 */
export async function readPrepared(store: TensorStore, config: FamilyModel): Promise<PromptBatch> {
  const file = new TensorFile(store);
  const { ids, rows, length } = await readIds(file);
  const ranges = await readMask(file, rows, length);
  const features = await readFeatures(file, config);
  const positions = await readPositions(file, rows, length);
  const media: PreparedMedia = {
    image: features.image.grids,
    video: features.video.grids,
    secondsPerGrid: features.secondsPerGrid,
    frames: features.sounds.map(({ frames }) => frames),
    used: { image: 0, video: 0, audio: 0 },
  };
  const at = { image: 0, video: 0, audio: 0 };
  const samples = ranges.map(({ first, count }, row) => {
    const name = `row ${row} of ${file.name}`;
    const given = ids.subarray(row * length + first, row * length + first + count);
    const { contracted, shapes } = contractRow(given, media, config, name);
    const layout = config.layout(contracted, shapes, {
      ...{ tokens: mediaTokens(config), row: name },
      encode: noTokenizer(name),
    });
    checkSame(layout, given, shapes, name);
    const sample = makeSample(name, layout, shapes, features, at, config);
    if (positions === undefined) return { ...sample, seal: sealOf(sample) };
    const own = positions(row, first, count);
    const nextPos = own.reduce((a, b) => Math.max(a, b), -1) + 1;
    const placed = { ...sample, positions: own, nextPos };
    return { ...placed, seal: sealOf(placed) };
  });
  checkUsed(media, file.name);
  const labels = file.shape("labels") && (await file.integers("labels"));
  if (labels !== undefined && labels.length !== ids.length) {
    throw file.error("labels", `has ${labels.length} labels for ${ids.length} ids`);
  }
  for (const sample of samples) checkLedger(sample, config);
  return {
    ...{ samples, length, inputIds: ids, labels, secondsPerGrid: features.secondsPerGrid },
    starts: ranges.map(({ first }) => first),
    sounds: features.sounds,
  };
}

async function readIds(file: TensorFile) {
  const shape = file.shape("input_ids");
  if (shape === undefined) throw file.error("input_ids", "is missing");
  const [length, rows = 1] = [...shape].reverse();
  if (shape.length > 2 || length === undefined || length * rows === 0) {
    throw file.error("input_ids", `has the shape [${shape.join(", ")}], not [B, S]`);
  }
  return { ids: await file.integers("input_ids"), rows, length };
}

/** Returns the tokens of every row: padding stands on one side of them, never between. */
async function readMask(file: TensorFile, rows: number, length: number) {
  const whole = Array.from({ length: rows }, () => ({ first: 0, count: length }));
  if (file.shape("attention_mask") === undefined) return whole;
  const mask = await file.integers("attention_mask");
  if (mask.length !== rows * length) {
    throw file.error("attention_mask", `has ${mask.length} values for ${rows * length} ids`);
  }
  return whole.map((_, row) => {
    const line = mask.subarray(row * length, (row + 1) * length);
    const [first, last] = [line.indexOf(1), line.lastIndexOf(1)];
    const count = first < 0 ? 0 : last - first + 1;
    if (count === 0 || !line.subarray(first, last + 1).every((value) => value === 1)) {
      throw file.error("attention_mask", `has no unbroken run of ones in row ${row}`);
    }
    return { first, count };
  });
}

async function readPositions(file: TensorFile, rows: number, length: number) {
  if (file.shape("position_ids") === undefined) return undefined;
  const given = await file.integers("position_ids");
  const axes = given.length / (rows * length);
  if (axes !== 1 && axes !== 3) {
    throw file.error("position_ids", `has ${given.length} values for ${rows * length} ids`);
  }
  return (row: number, first: number, count: number) => {
    const own = new Int32Array(3 * count);
    for (let axis = 0; axis < 3; axis++) {
      const from = ((axes === 3 ? axis : 0) * rows + row) * length + first;
      own.set(given.subarray(from, from + count), axis * count);
    }
    return own;
  };
}

async function readFeatures(file: TensorFile, config: ModelConfig): Promise<Features> {
  const { vision, audio } = config;
  for (const [name, part, what] of [
    ["pixel_values", vision, "pictures"],
    ["pixel_values_videos", vision, "pictures"],
    ["input_features", audio, "sound"],
  ] as const) {
    if (file.shape(name) === undefined || part !== undefined) continue;
    const says = `${file.name} holds ${name}, but ${config.name} takes no ${what}`;
    throw new DataError("unsupported-medium", `${says}.`, {
      hint: `Leave them out, or use a model that takes ${what}.`,
    });
  }
  const video = await readPictures(file, "pixel_values_videos", "video_grid_thw", config);
  return {
    image: await readPictures(file, "pixel_values", "image_grid_thw", config),
    video,
    sounds: await readSounds(file, config),
    secondsPerGrid: await readSeconds(file, video.grids.length),
  };
}

async function readPictures(
  file: TensorFile,
  pixelName: string,
  gridName: string,
  { vision }: ModelConfig,
): Promise<Pictures> {
  if (file.shape(gridName) === undefined) {
    if (file.shape(pixelName) === undefined) return { grids: [], pixels: new Float32Array() };
    throw file.error(gridName, `is missing, but ${pixelName} is there`);
  }
  if (file.shape(pixelName) === undefined) {
    throw file.error(pixelName, `is missing, but ${gridName} is there`);
  }
  const values = await file.integers(gridName);
  const { mergeSize, patchDim } = vision!;
  const grids: PatchGrid[] = [];
  for (let i = 0; i + 2 < values.length; i += 3) {
    const grid: PatchGrid = [values[i]!, values[i + 1]!, values[i + 2]!];
    if (grid.some((n) => n < 1) || grid[1] % mergeSize !== 0 || grid[2] % mergeSize !== 0) {
      const what = `row ${i / 3} is [${grid.join(", ")}]`;
      throw file.error(gridName, `${what}; rows and columns must be multiples of ${mergeSize}`);
    }
    grids.push(grid);
  }
  const pixels = await file.floats(pixelName);
  const patches = grids.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  if (pixels.length !== patches * patchDim) {
    const has = `has ${pixels.length / patchDim} patches of ${patchDim}`;
    throw file.error(pixelName, `${has} where ${gridName} asks for ${patches}`);
  }
  return { grids, pixels };
}

/** Seconds of a slice of each video; 1 where the file says nothing, as in transformers. */
async function readSeconds(file: TensorFile, videos: number): Promise<number[]> {
  const names = ["video_second_per_grid", "second_per_grid_ts"];
  const name = names.find((candidate) => file.shape(candidate) !== undefined);
  if (name === undefined) return Array<number>(videos).fill(1);
  const seconds = [...(await file.floats(name))];
  if (seconds.length === videos && seconds.every((s) => s > 0)) return seconds;
  throw file.error(name, `holds ${seconds.join(", ") || "nothing"} for ${videos} videos`);
}

async function readSounds(file: TensorFile, { audio }: ModelConfig): Promise<PaddedSound[]> {
  const shape = file.shape("input_features");
  if (shape === undefined) return [];
  const [clips, bins, columns] = shape as [number, number, number];
  if (shape.length !== 3 || bins !== audio!.melBins) {
    const what = `has the shape [${shape.join(", ")}], not [clips, ${audio!.melBins}, frames]`;
    throw file.error("input_features", what);
  }
  if (file.shape("feature_attention_mask") === undefined) {
    throw file.error("feature_attention_mask", "is missing, but input_features is there");
  }
  const mask = await file.integers("feature_attention_mask");
  if (mask.length !== clips * columns) {
    throw file.error(
      "feature_attention_mask",
      `has ${mask.length} values for ${clips} x ${columns} frames`,
    );
  }
  const mel = await file.floats("input_features");
  return Array.from({ length: clips }, (_, clip) => {
    const line = mask.subarray(clip * columns, (clip + 1) * columns);
    const frames = line.lastIndexOf(1) + 1;
    if (!line.subarray(0, frames).every((value) => value === 1)) {
      throw file.error("feature_attention_mask", `has a gap in clip ${clip}`);
    }
    checkSoundLength(frames, `audio ${clip + 1} of ${file.name}`, audio!);
    if (audio!.columns(frames) > columns) {
      const wanted = audio!.columns(frames);
      throw file.error("input_features", `has ${columns} frames; clip ${clip} needs ${wanted}`);
    }
    const data = () => mel.subarray(clip * bins * columns, (clip + 1) * bins * columns);
    return { frames, columns, data };
  });
}

/** Checks that the prompt laid out again is the one that was given. */
function checkSame(
  layout: PromptLayout,
  given: Int32Array,
  shapes: readonly MediumShape[],
  row: string,
): void {
  const { inputIds } = layout;
  const at = given.findIndex((id, i) => inputIds[i] !== id);
  if (at < 0 && inputIds.length === given.length) return;
  const place = at < 0 ? given.length : at;
  const files = shapes.map(({ file }) => file).join(", ");
  const got = `token ${place} is ${given[place] ?? "missing"} instead of ${inputIds[place] ?? "the end"}`;
  throw new DataError(
    "placeholder-mismatch",
    `${row}: its placeholders do not stand as this family lays out ${files || "text"}: ${got}.`,
    { hint: "Check second_per_grid, and that the tokens around media are there." },
  );
}

function checkUsed({ image, video, frames, used }: PreparedMedia, file: string): void {
  const held = { image: image.length, video: video.length, audio: frames.length };
  for (const kind of ["image", "video", "audio"] as const) {
    if (used[kind] === held[kind]) continue;
    throw new DataError(
      "placeholder-mismatch",
      `${file}: it holds ${held[kind]} of ${kind}, but the prompts have placeholders of ${used[kind]}.`,
      { hint: "Was a prompt cut off, or are features of another prompt in the file?" },
    );
  }
}

/** Returns the sample of a row, with the features that are next in the file. */
function makeSample(
  row: string,
  layout: PromptLayout,
  shapes: readonly MediumShape[],
  features: Features,
  at: { image: number; video: number; audio: number },
  { vision, audio }: ModelConfig,
): Sample {
  const parts: Float32Array[] = [];
  const grids: PatchGrid[] = [];
  const mel: MelClip[] = [];
  const ledger: LedgerEntry[] = [];
  const note = (medium: number, entry: Omit<LedgerEntry, "medium" | "seconds">) =>
    ledger.push({ medium, seconds: 0, ...entry });
  shapes.forEach((shape, medium) => {
    const { file } = shape;
    const written = layout.placeholders[medium]!;
    if (shape.kind !== "audio") {
      const { kind, grid } = shape;
      const values = grid[0] * grid[1] * grid[2] * vision!.patchDim;
      parts.push(features[kind].pixels.subarray(at[kind], (at[kind] += values)));
      grids.push(grid);
      const featureRows = visionTokens(grid, vision!.mergeSize);
      const count = { frames: grid[0], featureRows, placeholders: written.vision };
      note(medium, { kind, file, ...count, gridThw: grid });
    }
    if (shape.kind === "image" || shape.audioTokens === undefined) return;
    const { frames, columns, data } = features.sounds[at.audio++]!;
    const wanted = audio!.columns(frames);
    mel.push({ data: firstColumns(data(), columns, wanted), frames });
    const count = { frames, featureRows: audio!.tokens(frames), placeholders: written.audio };
    note(medium, { kind: "audio", file, ...count });
  });
  const patches = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const part of parts) {
    patches.set(part, to);
    to += part.length;
  }
  return { id: row, ...layout, patches, grids, mel, ledger, warnings: [] };
}

/** Returns the first columns of a matrix of `columns` columns. */
function firstColumns(data: Float32Array, columns: number, wanted: number): Float32Array {
  const rows = data.length / columns;
  const out = new Float32Array(rows * wanted);
  for (let row = 0; row < rows; row++) {
    out.set(data.subarray(row * columns, row * columns + wanted), row * wanted);
  }
  return out;
}
