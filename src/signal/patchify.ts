/*
 * From frames to the rows that the vision tower's first layer reads.
 *
 * Frames are taken in groups of `temporalPatchSize`, the last one repeated to fill its group. A row
 * is one patch of one group: channel, frame in the group, y, x. Rows are ordered so that the
 * mergeSize x mergeSize patches that become one token follow each other.
 */
import { ShapeError } from "../core/errors.ts";

/**
 * How bytes become numbers: `slow` is HF's PIL path, (f32(v / 255) - mean) / std; `fast` its torch
 * path, (v - 255 mean) / (255 std). Both are exact here; they differ by up to 2.4e-7.
 */
export type NormaliseMode = "slow" | "fast";

/** How to cut and normalise. The defaults are those of the Qwen2.5 family. */
export interface PatchifyOptions {
  /** Default 14. */
  patchSize?: number;
  /** Default 2. */
  temporalPatchSize?: number;
  /** Default 2. */
  mergeSize?: number;
  /** Per channel. Default CLIP's. */
  mean?: readonly number[];
  /** Per channel. Default CLIP's. */
  std?: readonly number[];
  /** Default `fast`, what transformers does for videos since 4.50. */
  mode?: NormaliseMode;
}

/** A picture: bytes, or numbers near 0..255 that a resize without rounding left. */
export interface PatchFrame {
  width: number;
  height: number;
  /** [height, width, 3]. */
  rgb: Uint8Array | Float32Array;
}

/** Patches of one medium. */
export interface Patches {
  /** [rows, 3 * temporalPatchSize * patchSize^2] f32. */
  data: Float32Array;
  /** Length of a row: 1176 in the Qwen2.5 family. */
  width: number;
  /** Groups of frames, patch rows and patch columns: rows = T * H * W. */
  grid: [number, number, number];
}

/** CLIP's mean per channel, in 0..1. */
export const CLIP_MEAN: readonly number[] = [0.48145466, 0.4578275, 0.40821073];
/** CLIP's standard deviation per channel, in 0..1. */
export const CLIP_STD: readonly number[] = [0.26862954, 0.26130258, 0.27577711];

const CHANNELS = 3;
const LEVELS = 256;

/**
 * Cuts frames of one size into normalised patches.
 *
 * @throws {ShapeError} when there is no frame, the sizes differ or a side is no multiple of
 *   patchSize * mergeSize.
 * Source: Qwen2VLImageProcessor._preprocess of transformers 4.57.6.
 */
export function patchify(frames: readonly PatchFrame[], options: PatchifyOptions = {}): Patches {
  const { patchSize = 14, temporalPatchSize = 2, mergeSize = 2 } = options;
  const first = frames[0];
  if (!first) throw new ShapeError("patchify-shape", "There is no frame to cut into patches.");
  const { width, height } = first;
  const cell = patchSize * mergeSize;
  if (width % cell !== 0 || height % cell !== 0) {
    throw new ShapeError(
      "patchify-shape",
      `Frames of ${width} x ${height} cannot be cut into cells of ${cell} x ${cell}.`,
      { hint: "Resize them to the size that smartResize gives." },
    );
  }
  for (const frame of frames) {
    if (frame.width === width && frame.height === height) continue;
    throw new ShapeError(
      "patchify-shape",
      `A frame of ${frame.width} x ${frame.height} follows one of ${width} x ${height}.`,
    );
  }
  const normalise = normaliser(options);
  const levels = Float32Array.from({ length: CHANNELS * LEVELS }, (_, i) =>
    normalise(i % LEVELS, Math.floor(i / LEVELS)),
  );
  const gridT = Math.ceil(frames.length / temporalPatchSize);
  const gridH = height / patchSize;
  const gridW = width / patchSize;
  const plane = patchSize * patchSize;
  const rowLength = CHANNELS * temporalPatchSize * plane;
  const data = new Float32Array(gridT * gridH * gridW * rowLength);
  for (let t = 0; t < gridT; t++) {
    for (let f = 0; f < temporalPatchSize; f++) {
      const { rgb } = frames[Math.min(t * temporalPatchSize + f, frames.length - 1)]!;
      const bytes = rgb instanceof Uint8Array;
      let at = t * gridH * gridW * rowLength + f * plane;
      for (const [row, col] of mergedOrder(gridH, gridW, mergeSize)) {
        const corner = (row * patchSize * width + col * patchSize) * CHANNELS;
        for (let c = 0; c < CHANNELS; c++) {
          let to = at + c * temporalPatchSize * plane;
          for (let y = 0; y < patchSize; y++) {
            let from = corner + y * width * CHANNELS + c;
            for (let x = 0; x < patchSize; x++, from += CHANNELS) {
              data[to++] = bytes ? levels[c * LEVELS + rgb[from]!]! : normalise(rgb[from]!, c);
            }
          }
        }
        at += rowLength;
      }
    }
  }
  return { data, width: rowLength, grid: [gridT, gridH, gridW] };
}

/** Patch positions cell by cell, row-major in the cell. */
function* mergedOrder(gridH: number, gridW: number, merge: number): Generator<[number, number]> {
  for (let cellY = 0; cellY < gridH; cellY += merge) {
    for (let cellX = 0; cellX < gridW; cellX += merge) {
      for (let y = 0; y < merge; y++) {
        for (let x = 0; x < merge; x++) yield [cellY + y, cellX + x];
      }
    }
  }
}

/** Returns the number that a value 0..255 of a channel becomes. */
function normaliser(options: PatchifyOptions): (value: number, channel: number) => number {
  const { mean = CLIP_MEAN, std = CLIP_STD, mode = "fast" } = options;
  const f32 = Math.fround;
  const m = mean.map(f32);
  const s = std.map(f32);
  if (mode === "slow") return (v, c) => f32(f32(v * (1 / 255)) - m[c]!) / s[c]!;
  const m255 = m.map((value) => f32(value * 255));
  const s255 = s.map((value) => f32(value * 255));
  return (v, c) => f32(f32(v) - m255[c]!) / s255[c]!;
}
