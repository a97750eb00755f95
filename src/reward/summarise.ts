import { type Spread, spreadOf } from "../core/spread.ts";
import type { Score } from "./reward.ts";

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
