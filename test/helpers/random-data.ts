import { Random } from "../../src/core/random.ts";

/** `count` float32 values uniform in [low, high), a pure function of the seed. */
export function randomF32(count: number, seed: number, low = -1, high = 1): Float32Array {
  const random = new Random(seed, "init");
  return Float32Array.from({ length: count }, () => random.uniform(low, high));
}

/** `count` integers uniform in [0, limit), a pure function of the seed. */
export function randomU32(count: number, limit: number, seed: number): Uint32Array {
  const random = new Random(seed, "data");
  return Uint32Array.from({ length: count }, () => random.integer(limit));
}
