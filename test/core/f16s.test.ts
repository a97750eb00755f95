import { describe, expect, it } from "vitest";
import { fromBf16, fromF16 } from "../../src/core/dtype.ts";
import { f16sScale, packF16s, unpackF16s } from "../../src/core/f16s.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";

/** The nearest multiple of 2^-24 (or of 2^(e-10)) by long division, ties to even. */
function nearestF16(value: number): number {
  const magnitude = Math.abs(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 1)));
  const unit = 2 ** (exponent - 10);
  const down = Math.floor(magnitude / unit);
  const rest = magnitude / unit - down;
  const up = rest > 0.5 || (rest === 0.5 && down % 2 === 1);
  return Math.sign(value) * (down + (up ? 1 : 0)) * unit;
}

describe("f16s", () => {
  it("puts the largest magnitude into [2^14, 2^15)", () => {
    for (const largest of [1e-20, 0.02, 0.999, 1, 3, 65504, 1e9]) {
      const scale = f16sScale(Float32Array.of(0, -largest, largest / 2));
      expect(Number.isInteger(Math.log2(scale))).toBe(true);
      expect(Math.fround(largest) / scale).toBeGreaterThanOrEqual(2 ** 14);
      expect(Math.fround(largest) / scale).toBeLessThan(2 ** 15);
    }
    expect(f16sScale(new Float32Array(3))).toBe(1);
  });

  it("rounds to nearest even and counts what it changes, with rows padded by zeros", () => {
    const values = randomF32(7 * 33, 5);
    // Small ones too, of which f16's subnormals keep a few bits only.
    for (let i = 0; i < values.length; i += 3) values[i]! *= 1e-9;
    values[4] = 0;
    values[5] = 0.5;
    const scale = f16sScale(values);
    const { words, inexact } = packF16s(values, 33, scale);
    expect(words.length).toBe(7 * 18);
    const halves = new Uint16Array(words.buffer);
    let changed = 0;
    values.forEach((value, i) => {
      const got = fromF16(halves[Math.floor(i / 33) * 36 + (i % 33)]!) * scale;
      expect(got, `value ${value}`).toBe(nearestF16(value / scale) * scale + 0);
      if (got !== value) changed++;
    });
    expect(inexact).toBe(changed);
    expect(inexact).toBeGreaterThan(100);
    for (let row = 0; row < 7; row++) {
      expect([...halves.subarray(row * 36 + 33, row * 36 + 36)]).toEqual([0, 0, 0]);
    }
  });

  it("holds bf16 exactly over 31 binades, and its own values at their scale", () => {
    const bits = randomU32(4000, 0x7f, 9).map((mantissa, i) => ((i % 31) + 0x60) * 128 + mantissa);
    const values = Float32Array.from(bits, fromBf16);
    const scale = f16sScale(values);
    const { words, inexact } = packF16s(values, 40, scale);
    // 24 binades are whole f16 values; of the subnormal ones the mantissa of 8 bits keeps fewer.
    const last = values.filter((value, i) => {
      return Math.abs(value / scale) < 2 ** -17 && (bits[i]! & 0x7f) !== 0;
    });
    expect(inexact).toBeLessThanOrEqual(last.length);
    const back = unpackF16s(words, 40, scale);
    expect(packF16s(back, 40, scale)).toEqual({ words, inexact: 0 });
    const upper = values.map((value) => (Math.abs(value / scale) < 2 ** -14 ? 0 : value));
    expect(packF16s(upper, 40, scale).inexact).toBe(0);
  });
});
