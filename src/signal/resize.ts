/*
 * Bicubic resizing with antialiasing, in the two forms that the reference preparation uses.
 *
 * `pil`: Pillow's resize of 8-bit pictures. Weights in 22-bit fixed point; the result of the
 * first pass (horizontal, as a rule) is rounded and clamped to a byte. Equal to Pillow in every byte.
 * `float`: torchvision's antialiased resize of float pictures: no rounding in between, and the
 * result may leave 0..255. Here in f64; torch's own f32 differs by about 1e-4 levels.
 * Both use the Keys kernel with a = -0.5, widened by the factor of reduction.
 */
import { ShapeError } from "../core/errors.ts";
import type { Frame } from "./frame.ts";

/** Which of the reference's two resizers to follow: `pil` for images, `float` for video frames. */
export type ResizeMode = "pil" | "float";

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** The taps of every output position along one side. */
interface Taps {
  /** First input position of each output. */
  start: Int32Array;
  /** Number of taps of each output. */
  count: Int32Array;
  /** [outputs, most taps], each row summing to 1. */
  weights: Float64Array;
  /** Row length of `weights`. */
  most: number;
}

const CHANNELS = 3;
const KERNEL_SUPPORT = 2;
const PIL_BITS = 22;

/** Resizes a frame; `float` results are clamped and rounded half to even. Same size: the frame. */
export function resizeFrame(frame: Frame, size: Size, mode: ResizeMode): Frame {
  if (frame.width === size.width && frame.height === size.height) return frame;
  const { width, height } = size;
  if (mode === "pil") {
    return { width, height, rgb: resizePil(frame.rgb, frame, size), timestamp: frame.timestamp };
  }
  const exact = resizeFloat(frame.rgb, frame, size);
  const rgb = new Uint8Array(exact.length);
  for (let i = 0; i < exact.length; i++) {
    rgb[i] = roundHalfEven(Math.min(255, Math.max(0, exact[i]!)));
  }
  return { width, height, rgb, timestamp: frame.timestamp };
}

/**
 * Resizes as Pillow does, byte for byte.
 *
 * rgb: [from.height, from.width, 3] u8; result [to.height, to.width, 3] u8.
 *
 * @throws {ShapeError} when `rgb` has not the length that `from` says, or a side is not positive.
 * Source: ImagingResampleInner of Pillow 13.0.0, src/libImaging/Resample.c.
 */
export function resizePil(rgb: Uint8Array, from: Size, to: Size): Uint8Array {
  checkSizes(rgb.length, from, to);
  // The order matters, for the intermediate picture is bytes. Pillow 13 takes the vertical pass
  // first where the height loses more than twice the pixels that the width does; older ones never.
  const lostRows = from.height - to.height;
  const lostColumns = from.width - to.width;
  const upright = lostRows > 0 && lostRows > 2 * lostColumns;
  const between = upright
    ? { width: from.width, height: to.height }
    : { width: to.width, height: from.height };
  return pilPass(pilPass(rgb, from, between), between, to);
}

/** One pass along the side that changes; without a change, a copy. */
function pilPass(pixels: Uint8Array, from: Size, to: Size): Uint8Array {
  if (from.width === to.width && from.height === to.height) return pixels.slice();
  const out = new Uint8Array(to.width * to.height * CHANNELS);
  if (from.width !== to.width) {
    const taps = fixedPoint(bicubicTaps(from.width, to.width));
    filterRows(pixels, out, taps, { rows: from.height, from: from.width, to: to.width }, toPilByte);
  } else {
    filterColumns(pixels, out, fixedPoint(bicubicTaps(from.height, to.height)), to, toPilByte);
  }
  return out;
}

/**
 * Resizes without rounding; values may leave 0..255.
 *
 * rgb: [from.height, from.width, 3]; result [to.height, to.width, 3] f64.
 *
 * @throws {ShapeError} when `rgb` has not the length that `from` says, or a side is not positive.
 * Source: torchvision.transforms.functional.resize(BICUBIC, antialias=True) on float32.
 */
export function resizeFloat(rgb: ArrayLike<number>, from: Size, to: Size): Float64Array {
  checkSizes(rgb.length, from, to);
  let pixels = Float64Array.from(rgb);
  if (to.width !== from.width) {
    const out = new Float64Array(from.height * to.width * CHANNELS);
    const taps = bicubicTaps(from.width, to.width);
    filterRows(pixels, out, taps, { rows: from.height, from: from.width, to: to.width }, identity);
    pixels = out;
  }
  if (to.height !== from.height) {
    const out = new Float64Array(to.height * to.width * CHANNELS);
    filterColumns(pixels, out, bicubicTaps(from.height, to.height), to, identity);
    pixels = out;
  }
  return pixels;
}

function checkSizes(length: number, from: Size, to: Size): void {
  if (length !== from.width * from.height * CHANNELS) {
    throw new ShapeError(
      "resize-shape",
      `A picture of ${from.width} x ${from.height} has ${length} values instead of ` +
        `${from.width * from.height * CHANNELS}.`,
    );
  }
  for (const side of [from.width, from.height, to.width, to.height]) {
    if (!Number.isInteger(side) || side < 1) {
      throw new ShapeError("resize-shape", `A picture cannot have a side of ${side} pixels.`);
    }
  }
}

function bicubicTaps(from: number, to: number): Taps {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = KERNEL_SUPPORT * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * most);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let k = 0; k < end - first; k++) {
      const weight = keys((first + k - centre + 0.5) * (1 / stretch));
      weights[i * most + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < end - first; k++) weights[i * most + k]! /= sum;
    start[i] = first;
    count[i] = end - first;
  }
  return { start, count, weights, most };
}

/** Keys' cubic kernel with a = -0.5, in Pillow's order of operations. */
function keys(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function fixedPoint(taps: Taps): Taps {
  const weights = taps.weights.map((weight) =>
    Math.trunc(weight * 2 ** PIL_BITS + (weight < 0 ? -0.5 : 0.5)),
  );
  return { ...taps, weights };
}

type Finish = (sum: number) => number;

function identity(sum: number): number {
  return sum;
}

function toPilByte(sum: number): number {
  const value = (sum + 2 ** (PIL_BITS - 1)) >> PIL_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function filterRows(
  pixels: Uint8Array | Float64Array,
  out: Uint8Array | Float64Array,
  taps: Taps,
  { rows, from, to }: { rows: number; from: number; to: number },
  finish: Finish,
): void {
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < to; x++) {
      const row = x * taps.most;
      let at = (y * from + taps.start[x]!) * CHANNELS;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = 0; k < taps.count[x]!; k++, at += CHANNELS) {
        const weight = taps.weights[row + k]!;
        red += weight * pixels[at]!;
        green += weight * pixels[at + 1]!;
        blue += weight * pixels[at + 2]!;
      }
      const to3 = (y * to + x) * CHANNELS;
      out[to3] = finish(red);
      out[to3 + 1] = finish(green);
      out[to3 + 2] = finish(blue);
    }
  }
}

function filterColumns(
  pixels: Uint8Array | Float64Array,
  out: Uint8Array | Float64Array,
  taps: Taps,
  to: Size,
  finish: Finish,
): void {
  const rowLength = to.width * CHANNELS;
  const sums = new Float64Array(rowLength);
  for (let y = 0; y < to.height; y++) {
    sums.fill(0);
    for (let k = 0; k < taps.count[y]!; k++) {
      const weight = taps.weights[y * taps.most + k]!;
      const from = (taps.start[y]! + k) * rowLength;
      for (let i = 0; i < rowLength; i++) sums[i]! += weight * pixels[from + i]!;
    }
    for (let i = 0; i < rowLength; i++) out[y * rowLength + i] = finish(sums[i]!);
  }
}

/** Rounds to the nearest integer, halves to the even one, as Python and torch do. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
