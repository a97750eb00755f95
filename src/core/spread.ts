/** Mean and deviation of some numbers, and the one rule by which numbers count as equal. */

/** Mean and spread of some numbers. */
export interface Spread {
  /** How many numbers there are. */
  count: number;
  /** Null without numbers. */
  mean: number | null;
  /** Standard deviation with n - 1, exactly 0 of equal numbers; null for fewer than two. */
  std: number | null;
  /** True where the numbers are equal but for rounding, and for fewer than two. */
  level: boolean;
}

/** A deviation up to this is none: the absolute tolerance of `torch.isclose`, by which TRL asks. */
const LEVEL_STD = 1e-8;
/** Rounding of a sum of a few large rewards, as a share of the largest number. */
const LEVEL_SHARE = 1e-12;

/**
 * Computes mean and spread of numbers, in two passes.
 *
 * Sums of weighted rewards that are the same on paper differ by rounding: 0.1 + 0.2 is not 0.3. Such
 * numbers are `level`: their deviation is at most 1e-8, or 1e-12 of the largest number.
 *
 * Numerics: float64.
 *
 * Source: TRL 1.16 `GRPOTrainer._generate_and_score_completions`, `torch.isclose(std, 0)`.
 */
export function spreadOf(values: ArrayLike<number>): Spread {
  const all = Array.from(values);
  const count = all.length;
  if (count === 0) return { count, mean: null, std: null, level: true };
  if (count === 1) return { count, mean: all[0]!, std: null, level: true };
  // Equal numbers have no deviation, whatever rounding makes of their mean.
  if (all.every((value) => value === all[0])) return { count, mean: all[0]!, std: 0, level: true };
  const mean = all.reduce((sum, value) => sum + value, 0) / count;
  const squares = all.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const std = Math.sqrt(squares / (count - 1));
  const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { count, mean, std, level: std <= Math.max(LEVEL_STD, LEVEL_SHARE * largest) };
}
