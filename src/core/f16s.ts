/**
 * Storage f16s: f16 pairs in u32 words times one power of two per tensor, rows padded to four
 * elements. `shaders/lib/weight.f16s.wgsl` is what reads it.
 */
import { fromF16, toF16 } from "./dtype.ts";

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
 * The power of two that stored values are multiplied by: it puts the largest into [2^14, 2^15).
 *
 * That is one binade below f16's last, so that no value rounds up to infinity, and 31 binades above
 * the point where a bf16 value loses bits. 1 for a tensor of zeros.
 */
export function f16sScale(values: Float32Array): number {
  // As integers, magnitudes of floats are in their order.
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let largest = 0;
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    if (magnitude > largest && magnitude < 0x7f800000) largest = magnitude;
  }
  if (largest === 0) return 1;
  const exponent = Math.floor(Math.log2(floatOf(largest))) - 14;
  return 2 ** Math.max(-MAX_EXPONENT, Math.min(MAX_EXPONENT, exponent));
}

function floatOf(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
}

/**
 * Packs rows of float32 into f16s, to nearest even; the padding is zero.
 *
 * @param values [rows, width] f32; @param scale a power of two, such as {@link f16sScale} gives.
 */
export function packF16s(values: Float32Array, width: number, scale: number): PackedF16s {
  const rows = values.length / width;
  const padded = Math.ceil(width / ROW_MULTIPLE) * ROW_MULTIPLE;
  const words = new Uint32Array((rows * padded) / 2);
  const halves = new Uint16Array(words.buffer);
  const inverse = 1 / scale;
  const scaled = new Float32Array(width);
  const bits = new Uint32Array(scaled.buffer);
  let inexact = 0;
  for (let row = 0; row < rows; row++) {
    const from = row * width;
    const to = row * padded;
    for (let i = 0; i < width; i++) scaled[i] = values[from + i]! * inverse;
    for (let i = 0; i < width; i++) {
      const word = bits[i]!;
      const magnitude = word & 0x7fffffff;
      // Normal f16 values, all but a few: no call and no second look at the value.
      if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
        if ((magnitude & 0x1fff) !== 0) inexact++;
        const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
        halves[to + i] = ((word >>> 16) & 0x8000) | ((rounded - 0x38000000) >>> 13);
        continue;
      }
      const half = toF16(scaled[i]!);
      halves[to + i] = half;
      const value = values[from + i]!;
      if (fromF16(half) * scale !== value && !Number.isNaN(value)) inexact++;
    }
  }
  return { words, inexact };
}

/** Widens f16s rows to float32, exactly. */
export function unpackF16s(words: Uint32Array, width: number, scale: number): Float32Array {
  const padded = Math.ceil(width / ROW_MULTIPLE) * ROW_MULTIPLE;
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const rows = halves.length / padded;
  const values = new Float32Array(rows * width);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let at = row * padded, end = at + width; at < end; at++) {
      values[to++] = fromF16(halves[at]!) * scale;
    }
  }
  return values;
}
