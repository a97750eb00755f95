import type { LossSettings } from "./settings.ts";
import type { StepTotals } from "./types.ts";

/** One completion as a loss's formula sees it; arrays are [length]. */
export interface CompletionView {
  /** Tokens that count; 0 for a completion that is empty or masked. */
  length: number;
  logp: Float64Array;
  /** logp - old. */
  logRatio: Float64Array;
  /** Importance ratio at the level of the settings: the token's, or the completion's for all. */
  ratio: Float64Array;
  advantage: Float64Array;
  /** The completion's own advantage; undefined where every token has its own. */
  oneAdvantage: number | undefined;
  /** Whether ratio and advantage are one for the whole completion: metrics then count it once. */
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
  /** What is averaged over tokens as a metric, by metric name. */
  perToken?: Record<string, Float64Array>;
  /** What is averaged over completions as a metric, by metric name. */
  perCompletion?: Record<string, number>;
}

/** A loss: how it weighs tokens, and the term of each. */
export interface PolicyFormula {
  /** Factor of each of a completion's tokens, from the completion's length and the step's sums. */
  weight(length: number, totals: StepTotals): number;
  terms(view: CompletionView, settings: LossSettings): PolicyTerms;
}

/** Mean over the step's completions of each completion's mean over its tokens. */
export function meanOfMeans(length: number, totals: StepTotals): number {
  return 1 / (totals.completions * Math.max(1, length));
}

/** Mean over the step's tokens. */
export function tokenMean(_length: number, totals: StepTotals): number {
  return 1 / Math.max(1, totals.tokens);
}

/** Terms of zeros to be filled in. */
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
  view: CompletionView,
  name: string,
  values: Float64Array,
): void {
  if (view.uniform) (terms.perCompletion ??= {})[name] = values[0] ?? 0;
  else (terms.perToken ??= {})[name] = values;
}
