import { Random } from "../../src/core/random.ts";
import { randomF32 } from "./random-data.ts";

/** Float64 copy of float32 data, as the references take it. */
export const f64 = (data: ArrayLike<number>): Float64Array => Float64Array.from(data);

/** Outputs that start as zeros. */
export const zeros = (count: number): Float32Array => new Float32Array(count);

/**
 * `count` values that repeat every 1009: as good as random for kernels without neighbours, and cheap
 * to make and to check in the millions that overflow a one-dimensional grid.
 */
export function periodicF32(count: number, seed: number, low = -1, high = 1): Float32Array {
  const period = randomF32(Math.min(count, 1009), seed, low, high);
  const data = new Float32Array(count);
  for (let at = 0; at < count; at += period.length) {
    data.set(period.subarray(0, Math.min(period.length, count - at)), at);
  }
  return data;
}

/** Elements of one more workgroup than 65,535, for kernels with up to 64 elements a workgroup. */
export const OVERFLOW = 65_535 * 64 + 65;

/** `cases` lists of whole numbers, each drawn between its bounds (inclusive); a pinned seed. */
export function fuzz(
  seed: number,
  cases: number,
  ...bounds: readonly (readonly [number, number])[]
): number[][] {
  const random = new Random(seed, "data");
  return Array.from({ length: cases }, () =>
    bounds.map(([low, high]) => low + random.integer(high - low + 1)),
  );
}

/** Every choice of one value per tunable, the defaults first. */
export function combinations<T extends string>(
  tunables: Readonly<Record<T, readonly (number | boolean)[]>>,
): Record<T, number | boolean>[] {
  return Object.entries<readonly (number | boolean)[]>(tunables).reduce<object[]>(
    (list, [name, values]) =>
      list.flatMap((chosen) => values.map((value) => ({ ...chosen, [name]: value }))),
    [{}],
  ) as Record<T, number | boolean>[];
}
