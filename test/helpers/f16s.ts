import { toF16 } from "../../src/core/dtype.ts";
import { randomU32 } from "./random-data.ts";

/** A random weight in both storage types: float32 [n, k], and f16s with rows padded to 4 values. */
export function randomWeight(
  n: number,
  k: number,
  seed: number,
): { f32: Float32Array; f16s: Uint32Array } {
  const codes = randomU32(Math.min(n * k, 5003), 2047, seed);
  const f32 = Float32Array.from({ length: n * k }, (_, i) => (codes[i % 5003]! - 1023) / 1024);
  const padded = Math.ceil(k / 4) * 4;
  // The padding holds a NaN, which a kernel that reads it would spread.
  const halves = new Uint16Array(n * padded).fill(0x7e00);
  f32.forEach((value, i) => (halves[Math.floor(i / k) * padded + (i % k)] = toF16(value)));
  return { f32, f16s: new Uint32Array(halves.buffer) };
}
