/**
 * Storage f16s: f16 pairs in u32 words times one power of two per tensor, rows padded to four
 * elements. `shaders/lib/weight.f16s.wgsl` is what reads it.
 */
import { halfWords, toF16 } from "./dtype.ts";
import { ShapeError } from "./errors.ts";

/** Elements to which rows are padded. */
const ROW_MULTIPLE = 4;
/** Exponents of two that a shader's f32 parameter and its products hold with room to spare. */
const MAX_EXPONENT = 100;

/** A matrix in f16s, and how many of its elements are not what they were. */
export interface PackedF16s {
  /** [rows, ceil(width / 4) * 2] u32. */
  words: Uint32Array;
  /** Elements that f16 times the scale does not hold exactly. */
  inexact: number;
}

/**
 * Returns the scale of a tensor that is in memory whole: {@link scaleFor} of {@link largestF32}.
 */
export function f16sScale(values: Float32Array): number {
  return scaleFor(largestF32(values));
}

/** Returns the largest magnitude among the finite values, 0 when there is none. */
export function largestF32(values: Float32Array): number {
  // As integers, magnitudes of floats are in their order.
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let largest = 0;
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    if (magnitude > largest && magnitude < 0x7f800000) largest = magnitude;
  }
  return new Float32Array(Int32Array.of(largest).buffer)[0]!;
}

/**
 * Returns the power of two by which values are divided when they are stored: it puts the largest of
 * them into [2^14, 2^15).
 *
 * That is one binade below f16's last, so that no value rounds up to infinity, and 31 binades above
 * the point where a bf16 value loses bits. 1 for a tensor of zeros.
 *
 * @param largest magnitude of the whole tensor: the maximum over its slices.
 */
export function scaleFor(largest: number): number {
  if (largest === 0) return 1;
  const exponent = Math.floor(Math.log2(largest)) - 14;
  return 2 ** Math.max(-MAX_EXPONENT, Math.min(MAX_EXPONENT, exponent));
}

/**
 * Returns the shape of f16s rows, and the words for them.
 *
 * @throws {ShapeError} when `count` values are not whole rows or `out` has another length.
 */
export function wordsOfRows(
  count: number,
  width: number,
  out?: Uint32Array,
): { rows: number; padded: number; words: Uint32Array } {
  const rows = count / width;
  const padded = Math.ceil(width / ROW_MULTIPLE) * ROW_MULTIPLE;
  const length = (rows * padded) / 2;
  if (Number.isInteger(rows) && (out === undefined || out.length === length)) {
    return { rows, padded, words: out ?? new Uint32Array(length) };
  }
  const room = out === undefined ? "" : `, and there is room for ${out.length} words`;
  throw new ShapeError("not-rows", `f16s: ${count} values in rows of ${width}${room}.`, {
    hint: "Give whole rows, and room for ceil(width / 4) * 2 words for each.",
  });
}

/**
 * Packs whole rows of float32 into f16s, to nearest even; the padding is zero.
 *
 * @param values [rows, width] f32; @param scale a power of two, such as {@link scaleFor} gives.
 * @param out the words of these rows, a part of a larger array for instance; made when left out.
 * @throws {ShapeError} when `values` are not whole rows or `out` has another length.
 */
export function packF16s(
  values: Float32Array,
  width: number,
  scale: number,
  out?: Uint32Array,
): PackedF16s {
  const { rows, padded, words } = wordsOfRows(values.length, width, out);
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const held = new Float32Array(halfWords().buffer);
  const inverse = 1 / scale;
  // Between normal numbers, a power of two is a difference of the exponents.
  const shift = Math.log2(scale) * 0x800000;
  const low = Math.max(0x00800000, 0x38800000 + shift);
  const high = Math.min(0x7f800000, 0x477ff000 + shift);
  const rebias = 0x38000000 + shift;
  let inexact = 0;
  for (let row = 0; row < rows; row++) {
    const from = row * width;
    const to = row * padded;
    for (let i = 0; i < width; i++) {
      const word = bits[from + i]!;
      const magnitude = word & 0x7fffffff;
      // Normal f16 values, all but a few: no call and no look at the value itself.
      if (magnitude >= low && magnitude < high) {
        if ((magnitude & 0x1fff) !== 0) inexact++;
        const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
        halves[to + i] = ((word >>> 16) & 0x8000) | ((rounded - rebias) >>> 13);
        continue;
      }
      const value = values[from + i]!;
      const half = toF16(value * inverse);
      halves[to + i] = half;
      if (held[half]! * scale !== value && !Number.isNaN(value)) inexact++;
    }
    halves.fill(0, to + width, to + padded);
  }
  return { words, inexact };
}

/** Widens f16s rows to float32, exactly. */
export function unpackF16s(words: Uint32Array, width: number, scale: number): Float32Array {
  const padded = Math.ceil(width / ROW_MULTIPLE) * ROW_MULTIPLE;
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const rows = halves.length / padded;
  const values = new Float32Array(rows * width);
  const table = new Float32Array(halfWords().buffer);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let at = row * padded, end = at + width; at < end; at++) {
      values[to++] = table[halves[at]!]! * scale;
    }
  }
  return values;
}
