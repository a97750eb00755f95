/**
 * Whole arrays between float32 and the 16-bit types of checkpoints, and from those types to f16s.
 *
 * A 16-bit type has 65,536 values, so that what is slow about one of them is done once, in a table.
 */
import { fromBf16, fromF16, halfWords, toBf16, toF16 } from "./dtype.ts";
import { ShapeError } from "./errors.ts";
import { type PackedF16s, packF16s, wordsOfRows } from "./f16s.ts";

/** The 16-bit element types of checkpoints. */
export type DType16 = "BF16" | "F16";

/** Counts of the values that a conversion to 16 bits changed. */
export interface Narrowed {
  /** Elements that the type does not hold exactly; the infinite ones are among them. */
  inexact: number;
  /** Finite elements that became infinite. */
  overflow: number;
}

/** Bits of infinity; what lies above, without the sign, is NaN. */
const INFINITY = { BF16: 0x7f80, F16: 0x7c00 };

/** Widens bfloat16 bits to float32, exactly; both arrays have one length. */
export function bf16ToF32(bits: Uint16Array, out: Float32Array): void {
  sameLength("bf16ToF32", bits, out);
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
}

/** Widens IEEE binary16 bits to float32, exactly, NaN payloads too; both arrays have one length. */
export function f16ToF32(bits: Uint16Array, out: Float32Array): void {
  sameLength("f16ToF32", bits, out);
  const table = halfWords();
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) words[i] = table[bits[i]!]!;
}

/** Rounds float32 to bfloat16 bits, to nearest even; NaN stays NaN. */
export function f32ToBf16(values: Float32Array, out: Uint16Array): Narrowed {
  sameLength("f32ToBf16", values, out);
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  let inexact = 0;
  let overflow = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const magnitude = word & 0x7fffffff;
    // Above lie the values that round to infinity, infinity itself and NaN.
    if (magnitude < 0x7f7f8000) {
      if ((word & 0xffff) !== 0) inexact++;
      out[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
      continue;
    }
    out[i] = toBf16(values[i]!);
    if (magnitude < 0x7f800000) overflow++;
  }
  return { inexact: inexact + overflow, overflow };
}

/** Rounds float32 to IEEE binary16 bits, to nearest even, with subnormals; NaN stays NaN. */
export function f32ToF16(values: Float32Array, out: Uint16Array): Narrowed {
  sameLength("f32ToF16", values, out);
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  let inexact = 0;
  let overflow = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const magnitude = word & 0x7fffffff;
    if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
      if ((magnitude & 0x1fff) !== 0) inexact++;
      const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
      out[i] = ((word >>> 16) & 0x8000) | ((rounded - 0x38000000) >>> 13);
      continue;
    }
    const value = values[i]!;
    const half = toF16(value);
    out[i] = half;
    if (magnitude >= 0x477ff000) {
      if (magnitude < 0x7f800000) overflow++;
    } else if (!Number.isInteger(value * 2 ** 24)) {
      // A subnormal is a multiple of 2^-24.
      inexact++;
    }
  }
  return { inexact: inexact + overflow, overflow };
}

/**
 * Returns the largest magnitude among the finite values, 0 when there is none.
 *
 * The largest over the slices of a tensor gives its f16s scale by `scaleFor`.
 */
export function largestMagnitude(bits: Uint16Array, dtype: DType16): number {
  const infinity = INFINITY[dtype];
  let largest = 0;
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i]! & 0x7fff;
    if (magnitude > largest && magnitude < infinity) largest = magnitude;
  }
  return dtype === "BF16" ? fromBf16(largest) : fromF16(largest);
}

/**
 * Packs whole rows of 16-bit values into f16s: the words and the count that `packF16s` gives for
 * the widened values, without widening them.
 *
 * @param bits [rows, width]; @param scale a power of two, such as `scaleFor` gives.
 * @param out the words of these rows, a part of a larger array for instance; made when left out.
 * @throws {ShapeError} when `bits` are not whole rows or `out` has another length.
 */
export function packRows16(
  bits: Uint16Array,
  dtype: DType16,
  width: number,
  scale: number,
  out?: Uint32Array,
): PackedF16s {
  const { rows, padded, words } = wordsOfRows(bits.length, width, out);
  const table = packingTable(dtype, scale);
  if (padded === width) return { words, inexact: packPairs(bits, table, words) };
  let inexact = 0;
  for (let row = 0; row < rows; row++) {
    const values = bits.subarray(row * width, (row + 1) * width);
    const to = (row * padded) / 2;
    inexact += packPairs(values, table, words.subarray(to, to + padded / 2));
  }
  return { words, inexact };
}

/** Packs values into `words`; what is left of them becomes zero. */
function packPairs(bits: Uint16Array, table: Uint32Array, words: Uint32Array): number {
  const pairs = bits.length >>> 1;
  let inexact = 0;
  for (let i = 0; i < pairs; i++) {
    const low = table[bits[2 * i]!]!;
    const high = table[bits[2 * i + 1]!]!;
    inexact += (low >>> 16) + (high >>> 16);
    words[i] = (low & 0xffff) | (high << 16);
  }
  if (bits.length % 2 === 1) {
    const low = table[bits[bits.length - 1]!]!;
    inexact += low >>> 16;
    words[pairs] = low & 0xffff;
  }
  words.fill(0, (bits.length + 1) >>> 1);
  return inexact;
}

/** Tables that are kept: a checkpoint's matrices share a dozen scales, in any order. */
const MAX_TABLES = 16;
const tables = new Map<string, Uint32Array>();

/** For each pattern the f16 bits of its value over the scale, and bit 16 if they are inexact. */
function packingTable(dtype: DType16, scale: number): Uint32Array {
  const key = `${dtype} ${scale}`;
  const table = tables.get(key) ?? makePackingTable(dtype, scale);
  // The table used last moves to the end; the one used longest ago is dropped.
  tables.delete(key);
  tables.set(key, table);
  if (tables.size > MAX_TABLES) tables.delete(tables.keys().next().value!);
  return table;
}

function makePackingTable(dtype: DType16, scale: number): Uint32Array {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const values = new Float32Array(bits.length);
  if (dtype === "BF16") bf16ToF32(bits, values);
  else f16ToF32(bits, values);
  const halves = new Uint16Array(packF16s(values, values.length, scale).words.buffer);
  const held = new Float32Array(halves.length);
  f16ToF32(halves, held);
  const table = new Uint32Array(halves.length);
  for (let i = 0; i < table.length; i++) {
    const value = values[i]!;
    const exact = held[i]! * scale === value || Number.isNaN(value);
    table[i] = exact ? halves[i]! : halves[i]! | 0x10000;
  }
  return table;
}

function sameLength(name: string, from: { length: number }, to: { length: number }): void {
  if (from.length === to.length) return;
  throw new ShapeError(
    "other-length",
    `${name}: ${from.length} elements are given, but there is room for ${to.length}.`,
    { hint: "Give two arrays of one length." },
  );
}
