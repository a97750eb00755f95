import type { z } from "zod";
import type { CommonLossSettings } from "./settings.ts";
import type { StepTotals } from "./types.ts";

/** One completion as a loss's formula reads it; arrays are [length]. */
export interface LossView {
  /** Tokens that count; 0 for a completion that is empty or masked. */
  length: number;
  logp: Float64Array;
  /** logp - old. */
  logRatio: Float64Array;
  /** Importance ratio at the level of the settings: the token's, or the completion's for all. */
  ratio: Float64Array;
  /** Advantage of all its tokens. */
  advantage: number;
  /** True where the ratio is one for the whole completion: metrics count it once. */
  uniform: boolean;
  /** Ratio of rollout policy to sampling distribution per token; undefined without correction. */
  correction: Float64Array | undefined;
}

/** The policy term of a completion's tokens, before masks, correction, KL and weight. */
export interface PolicyTerms {
  value: Float64Array;
  /** Derivative of the value by the logarithm of the token's `ratio`. */
  byLogRatio: Float64Array;
  /** Derivative of the value by `logp` where it does not come through `ratio`. */
  byLogp: Float64Array;
  /** Values that are averaged over tokens as a metric, by metric name. */
  perToken?: Record<string, Float64Array>;
  /** Values that are averaged over completions as a metric, by metric name. */
  perCompletion?: Record<string, number>;
  /**
   * Metrics, by the name of one of the above, of the smallest or largest mean of one completion: their
   * names end in `min` or `max`.
   */
  extremes?: Readonly<Record<string, string>>;
}

/** A setting that a loss cannot work with: its key, the reason, and what to set instead. */
export interface Refusal {
  key: string;
  /** Half a sentence, without a full stop. */
  message: string;
  remedy: string;
}

/**
 * A policy loss: everything that sets it apart from the others.
 *
 * `Own` are the options that only this loss has, by their keys in the section `train`.
 */
export interface PolicyFormula<Own = unknown> {
  /** Returns the factor of each of a completion's tokens, from its length and the step's sums. */
  weight(length: number, totals: StepTotals): number;
  /** Computes the policy term of every token of a completion. */
  terms(view: LossView, settings: CommonLossSettings & Own): PolicyTerms;
  /** The schema of each option of its own, with default and description. */
  options?: { readonly [Key in keyof Own]: z.ZodType<Own[Key]> };
  /** Set where the term contains the sampling correction, which then does not multiply it. */
  takesCorrection?: true;
  /** Returns what is wrong with settings that are valid one by one; undefined for nothing. */
  refuses?(settings: CommonLossSettings): Refusal | undefined;
}

/** Weighs by the mean over the step's completions of each completion's mean over its tokens. */
export function meanOfMeans(length: number, totals: StepTotals): number {
  return 1 / (totals.completions * Math.max(1, length));
}

/** Weighs by the mean over the step's tokens. */
export function tokenMean(_length: number, totals: StepTotals): number {
  return 1 / Math.max(1, totals.tokens);
}

/** Returns terms of zeros to be filled in. */
export function emptyTerms(length: number): PolicyTerms {
  return {
    value: new Float64Array(length),
    byLogRatio: new Float64Array(length),
    byLogp: new Float64Array(length),
  };
}

/** Files a metric of a completion's tokens under tokens, or once where they are all the same. */
export function measure(
  terms: PolicyTerms,
  view: LossView,
  name: string,
  values: Float64Array,
): void {
  if (view.uniform) (terms.perCompletion ??= {})[name] = values[0] ?? 0;
  else (terms.perToken ??= {})[name] = values;
}
