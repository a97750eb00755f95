import type { Score } from "./reward.ts";

/** Mean and spread of some numbers. */
export interface Spread {
  /** How many numbers there are. */
  count: number;
  /** Null without numbers. */
  mean: number | null;
  /** Standard deviation with n - 1, exactly 0 of equal numbers; null for fewer than two. */
  std: number | null;
}

/** One reward over many completions. */
export interface ComponentSummary extends Spread {
  /** Completions for which the reward failed. */
  failed: number;
  /** The same as a share of all completions. */
  failedShare: number;
}

/** Many scores in a few numbers. */
export interface ScoreSummary {
  /** Completions in all. */
  completions: number;
  /** Weighted sums of the completions that have one. */
  total: Spread;
  /** Completions that have no sum, because a reward failed or none applies. */
  unscored: number;
  /** Each reward's own numbers by name, where it applies. */
  components: Record<string, ComponentSummary>;
}

/** Sums scores up: mean and spread of each reward over the whole batch, and how often it failed. */
export function summarise(scores: readonly Score[]): ScoreSummary {
  const names = new Set(scores.flatMap(({ components }) => Object.keys(components)));
  const components: Record<string, ComponentSummary> = {};
  for (const name of names) {
    const values = scores.flatMap((score) => score.components[name] ?? []);
    const failed = scores.filter(({ failures }) => Object.hasOwn(failures, name)).length;
    components[name] = { ...spreadOf(values), failed, failedShare: failed / scores.length };
  }
  const totals = scores.flatMap(({ total }) => total ?? []);
  return {
    completions: scores.length,
    total: spreadOf(totals),
    unscored: scores.length - totals.length,
    components,
  };
}

/** Mean and spread of numbers, in two passes. */
export function spreadOf(values: readonly number[]): Spread {
  const count = values.length;
  if (count === 0) return { count, mean: null, std: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { count, mean, std: null };
  if (values.every((value) => value === values[0])) return { count, mean, std: 0 };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, std: Math.sqrt(squares / (count - 1)) };
}
