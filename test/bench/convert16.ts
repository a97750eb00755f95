/**
 * Nanoseconds per element of the conversions between checkpoints and f16s on this machine:
 * `npx tsx test/bench/convert16.ts [Mi elements]`. The best of ten calls, after the first.
 */
import {
  bf16ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  largestMagnitude,
  packRows16,
} from "../../src/core/convert16.ts";
import { f16sScale, packF16s, scaleFor, unpackF16s } from "../../src/core/f16s.ts";
import { randomF32 } from "../helpers/random-data.ts";

const WIDTH = 2048;
const count = Number(process.argv[2] ?? 4) * 2 ** 20;
const few = randomF32(2 ** 18, 1, -0.05, 0.05);
const f32 = Float32Array.from({ length: count }, (_, i) => few[i % few.length]!);
const bf16 = new Uint16Array(count);
const f16 = new Uint16Array(count);
f32ToBf16(f32, bf16);
f32ToF16(f32, f16);
const words = new Uint32Array(count / 2);
const wide = new Float32Array(count);
const narrow = new Uint16Array(count);
const scale = scaleFor(largestMagnitude(bf16, "BF16"));

const cases: Record<string, () => unknown> = {
  "packRows16 BF16": () => packRows16(bf16, "BF16", WIDTH, scale, words),
  "packRows16 F16": () => packRows16(f16, "F16", WIDTH, scale, words),
  packF16s: () => packF16s(f32, WIDTH, scale, words),
  unpackF16s: () => unpackF16s(words, WIDTH, scale),
  largestMagnitude: () => largestMagnitude(bf16, "BF16"),
  f16sScale: () => f16sScale(f32),
  bf16ToF32: () => bf16ToF32(bf16, wide),
  f16ToF32: () => f16ToF32(f16, wide),
  f32ToBf16: () => f32ToBf16(f32, narrow),
  f32ToF16: () => f32ToF16(f32, narrow),
};
for (const [name, work] of Object.entries(cases)) {
  let best = Infinity;
  for (let call = 0; call < 11; call++) {
    const start = performance.now();
    work();
    if (call > 0) best = Math.min(best, performance.now() - start);
  }
  process.stdout.write(`${name.padEnd(18)} ${((best * 1e6) / count).toFixed(2)} ns per element\n`);
}
