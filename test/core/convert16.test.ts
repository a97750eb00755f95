import { describe, expect, it } from "vitest";
import {
  bf16ToF32,
  type DType16,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  largestMagnitude,
  packRows16,
} from "../../src/core/convert16.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "../../src/core/dtype.ts";
import { f16sScale, largestF32, packF16s, scaleFor } from "../../src/core/f16s.ts";
import { randomU32 } from "../helpers/random-data.ts";

const patterns = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
const bitsOf = (values: Float32Array) => new Uint32Array(values.slice().buffer);

function widened(bits: Uint16Array, dtype: DType16): Float32Array {
  const out = new Float32Array(bits.length);
  if (dtype === "BF16") bf16ToF32(bits, out);
  else f16ToF32(bits, out);
  return out;
}

/** The first place where two arrays differ; a loop, because matchers over 65,536 are slow. */
function firstDifference(got: ArrayLike<number>, want: ArrayLike<number>): string | undefined {
  if (got.length !== want.length) return `${got.length} instead of ${want.length} elements`;
  for (let i = 0; i < got.length; i++) {
    if (!Object.is(got[i], want[i])) return `at ${i}: ${got[i]} instead of ${want[i]}`;
  }
  return undefined;
}

describe("widening", () => {
  it("gives all 65,536 patterns of both types their value", () => {
    expect(firstDifference(widened(patterns, "BF16"), Array.from(patterns, fromBf16))).toBe(
      undefined,
    );
    expect(firstDifference(widened(patterns, "F16"), Array.from(patterns, fromF16))).toBe(
      undefined,
    );
  });

  it("keeps the payloads of NaN, and writes into a part of an array", () => {
    expect([...bitsOf(widened(Uint16Array.of(0x7fa1, 0xff81), "BF16"))]).toEqual([
      0x7fa10000, 0xff810000,
    ]);
    expect([...bitsOf(widened(Uint16Array.of(0x7c01, 0xfe00), "F16"))]).toEqual([
      0x7f802000, 0xffc00000,
    ]);
    const whole = new Float32Array(5);
    f16ToF32(Uint16Array.of(0x3c00), whole.subarray(3, 4));
    bf16ToF32(Uint16Array.of(0x4000), whole.subarray(1, 2));
    expect([...whole]).toEqual([0, 2, 0, 1, 0]);
    expect(() => f16ToF32(patterns, whole)).toThrow(/65536 elements are given/);
  });
});

/**
 * Rounding by its definition: of the type's neighbours of a value, the nearest; at a tie the even.
 * `values` are the finite magnitudes in order; the one after the last would be infinity.
 */
function nearest(value: number, values: readonly number[]): number {
  const magnitude = Math.abs(value);
  let low = 0;
  for (let step = 0x8000; step >= 1; step /= 2) {
    if (low + step < values.length && values[low + step]! <= magnitude) low += step;
  }
  const next = low + 1 < values.length ? values[low + 1]! : 2 * values[low]! - values[low - 1]!;
  const below = magnitude - values[low]!;
  const above = next - magnitude;
  const up = above < below || (above === below && low % 2 === 1);
  return (low + (up ? 1 : 0)) | (value < 0 || Object.is(value, -0) ? 0x8000 : 0);
}

describe.each([
  ["BF16", f32ToBf16, toBf16, 0x7f80],
  ["F16", f32ToF16, toF16, 0x7c00],
] as const)("narrowing to %s", (dtype, narrow, narrowOne, infinity) => {
  const finite = [...widened(patterns.subarray(0, infinity), dtype)];
  // A tie, its neighbours, no remainder, the smallest and the largest remainder.
  const lowHalves = [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff];

  it("rounds all 65,536 upper halves of a float32 to nearest even, and counts", () => {
    const out = new Uint16Array(0x10000);
    for (const lowHalf of lowHalves) {
      const words = Uint32Array.from(patterns, (upper) => (upper << 16) | lowHalf);
      const values = new Float32Array(words.buffer);
      const counts = narrow(values, out);
      const want = { inexact: 0, overflow: 0 };
      values.forEach((value, i) => {
        const bits = out[i]!;
        // The sign of NaN is kept too, and its payload is not zero, which would be infinity.
        const right = Number.isNaN(value)
          ? (bits & 0x7fff) > infinity && bits >>> 15 === i >>> 15
          : Math.abs(value) === Infinity
            ? bits === (infinity | ((i >>> 15) << 15))
            : bits === nearest(value, finite);
        if (!right) throw new Error(`${words[i]!.toString(16)} became ${bits.toString(16)}`);
        if (bits !== narrowOne(value)) throw new Error(`narrowing one ${value} differs`);
        if (!Number.isFinite(value)) return;
        const held = (bits & 0x7fff) === infinity ? Infinity : finite[bits & 0x7fff]!;
        if (held !== Math.abs(value)) want.inexact++;
        if (held === Infinity) want.overflow++;
      });
      expect(counts, `lower half ${lowHalf.toString(16)}`).toEqual(want);
    }
  });
});

const SCALES = [1, 2 ** -21, 2 ** -17, 2 ** -14, 2 ** -40, 2 ** 3, 2 ** -100, 2 ** 100];

describe("packing rows of 16 bits", () => {
  it.each(["BF16", "F16"] as const)(
    "%s: the words and counts of packF16s, all patterns",
    (dtype) => {
      // More scales than tables are kept, and the first again at the end.
      const scales = [...SCALES, ...SCALES.map((scale) => scale * 2 ** 6), ...SCALES.slice(0, 3)];
      const values = widened(patterns, dtype);
      for (const scale of scales) {
        const want = packF16s(values, 64, scale);
        const got = packRows16(patterns, dtype, 64, scale);
        expect(firstDifference(got.words, want.words), `scale ${scale}`).toBe(undefined);
        expect(got.inexact, `scale ${scale}`).toBe(want.inexact);
      }
    },
  );

  it.each([1, 2, 3, 4, 5, 6, 7, 33, 34, 100])("pads rows of %i with zeros", (width) => {
    const bits = Uint16Array.from(randomU32(7 * width, 0x10000, width));
    const scale = 2 ** -20;
    for (const dtype of ["BF16", "F16"] as const) {
      const want = packF16s(widened(bits, dtype), width, scale);
      expect(packRows16(bits, dtype, width, scale)).toEqual(want);
      // In slices of rows into a part of an array that holds something else.
      const perRow = want.words.length / 7;
      const all = new Uint32Array(want.words.length + 2).fill(0xdeadbeef);
      let inexact = 0;
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 7],
      ] as const) {
        const part = all.subarray(1 + from * perRow, 1 + to * perRow);
        const slice = bits.subarray(from * width, to * width);
        const packed =
          from === 3
            ? packF16s(widened(slice, dtype), width, scale, part)
            : packRows16(slice, dtype, width, scale, part);
        expect(packed.words).toBe(part);
        inexact += packed.inexact;
      }
      expect(all.subarray(1, -1)).toEqual(want.words);
      expect([all[0], all.at(-1), inexact]).toEqual([0xdeadbeef, 0xdeadbeef, want.inexact]);
    }
  });

  it("refuses parts of rows and room of another size", () => {
    const bits = new Uint16Array(10);
    expect(() => packRows16(bits, "BF16", 4, 1)).toThrow(/10 values in rows of 4/);
    expect(() => packRows16(bits, "BF16", 5, 1, new Uint32Array(6))).toThrow(/room for 6 words/);
    expect(() => packF16s(new Float32Array(10), 4, 1)).toThrow(/10 values in rows of 4/);
  });
});

describe("the largest magnitude", () => {
  it("is that of the widened values, without infinities and NaN", () => {
    for (const dtype of ["BF16", "F16"] as const) {
      for (let seed = 0; seed < 20; seed++) {
        const limit = [1, 2, 0x80, 0x400, 0x3c00, 0x7c00, 0x7c01, 0x8001, 0x10000][seed % 9]!;
        const bits = Uint16Array.from(randomU32(50, limit, seed));
        const want = widened(bits, dtype)
          .filter(Number.isFinite)
          .reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        expect(largestMagnitude(bits, dtype)).toBe(want);
        expect(largestF32(widened(bits, dtype))).toBe(want);
        expect(f16sScale(widened(bits, dtype))).toBe(scaleFor(want));
      }
    }
    expect(largestMagnitude(patterns, "BF16")).toBe(2 ** 128 - 2 ** 120);
    expect(largestMagnitude(patterns, "F16")).toBe(65504);
    expect(largestMagnitude(Uint16Array.of(0x8000, 0x8003), "BF16")).toBe(3 * 2 ** -133);
    expect(largestMagnitude(Uint16Array.of(0x7f80, 0xffc0), "BF16")).toBe(0);
  });

  it("gives scales that are powers of two for every pattern of bf16", () => {
    for (const value of widened(patterns.subarray(1, 0x7f80), "BF16")) {
      const stored = value / scaleFor(value);
      const clamped = value < 2 ** -86 || value >= 2 ** 115;
      if (!clamped && !(stored >= 2 ** 14 && stored < 2 ** 15)) throw new Error(`${value}`);
    }
    expect(scaleFor(0)).toBe(1);
  });
});
