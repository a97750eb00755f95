import { Random } from "../core/random.ts";

/** Resamples of a bootstrap. */
const RESAMPLES = 10_000;

/**
 * Returns the 95 % percentile interval of a mean over resampled values.
 *
 * Deterministic: the same values and seed give the same interval.
 */
export function bootstrapInterval(
  values: readonly number[],
  seed: number,
): [low: number, high: number] {
  const random = new Random(seed, "data");
  const means = new Float64Array(RESAMPLES);
  for (let sample = 0; sample < RESAMPLES; sample++) {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.integer(values.length)]!;
    means[sample] = sum / values.length;
  }
  means.sort();
  return [means[Math.floor(0.025 * RESAMPLES)]!, means[Math.ceil(0.975 * RESAMPLES) - 1]!];
}

/**
 * Returns the two-sided p-value of McNemar's exact test: of so many questions that one side alone has
 * right, how likely a split as uneven as this is if both were as good.
 */
export function mcnemar(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB;
  const least = Math.min(onlyA, onlyB);
  // log of C(n, i) / 2^n, added up from i = 0.
  let term = -n * Math.LN2;
  let tail = 0;
  for (let i = 0; i <= least; i++) {
    tail += Math.exp(term);
    term += Math.log(n - i) - Math.log(i + 1);
  }
  return Math.min(1, 2 * tail);
}
