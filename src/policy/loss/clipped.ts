import {
  emptyTerms,
  meanOfMeans,
  measure,
  tokenMean,
  type LossView,
  type PolicyFormula,
  type PolicyTerms,
} from "./formula.ts";
import type { CommonLossSettings } from "./settings.ts";

/*
 * The losses of PPO's clipped surrogate. All have the same term for a token and differ in one line:
 * what the sum over tokens is divided by, and so how much a token weighs. With T the tokens of the
 * step, N its completions, L the tokens of the completion:
 *
 *   grpo      1 / (N L)       every completion weighs the same, so tokens of long ones weigh less
 *   dapo      1 / T           every token of the step weighs the same
 *   bnpo      1 / T           as dapo, where a batch is a step
 *   dr_grpo   1 / (N maximum) as dapo, but a constant, so that the weight is the same in every step
 *   luspo     1 / N           completions weigh by their length
 */

/** Metrics of which TRL also logs the smallest or largest mean of one completion. */
const EXTREMES = {
  "clip_ratio/low_mean": "clip_ratio/low_min",
  "clip_ratio/high_mean": "clip_ratio/high_max",
};

/**
 * Returns the clipped surrogate of PPO: -min(min(w, delta) A, clamp(w, 1 - epsilon, 1 +
 * epsilon_high) A).
 *
 * `delta` caps w in the first branch only, for either sign of A. `clip_ratio_c` caps the loss of a
 * negative advantage at -c A; for delta = c >= 1 + epsilon_high both say the same. Metrics: shares of
 * tokens beyond the lower bound with A < 0 (low) and beyond the upper with A > 0 (high); they look
 * at w after the cap by delta, as TRL's do. `clip_ratio/dual_mean` is the share that c caps. At a
 * border itself the derivative is that of the inside; torch 2.15 stops it there, so that TRL has half.
 *
 * Source: Schulman et al. 2017, eq. 7; Yu et al. 2025 (DAPO), eq. 10 for epsilon_high; TRL 1.16
 * `GRPOTrainer._compute_loss` for delta; Ye et al. 2019, eq. 5, with verl's
 * `compute_policy_loss_vanilla` for c.
 */
function clippedTerms(view: LossView, settings: CommonLossSettings): PolicyTerms {
  const { epsilon, delta, clip_ratio_c: dual } = settings;
  const low = 1 - epsilon;
  const high = 1 + (settings.epsilon_high ?? epsilon);
  const { advantage } = view;
  const terms = emptyTerms(view.length);
  const flags = () => new Float64Array(view.length);
  const [isLow, isHigh, isRegion, isDual] = [flags(), flags(), flags(), flags()];
  for (let t = 0; t < view.length; t++) {
    const ratio = view.ratio[t]!;
    const capped = delta === null ? ratio : Math.min(ratio, delta);
    const free = capped * advantage;
    const safe = Math.min(Math.max(ratio, low), high) * advantage;
    const moves = free <= safe ? capped === ratio : ratio >= low && ratio <= high;
    terms.value[t] = -Math.min(free, safe);
    terms.byLogRatio[t] = moves ? -ratio * advantage : 0;
    if (dual !== null && advantage < 0 && terms.value[t]! > -dual * advantage) {
      terms.value[t] = -dual * advantage;
      terms.byLogRatio[t] = 0;
      isDual[t] = 1;
    }
    isLow[t] = capped < low && advantage < 0 ? 1 : 0;
    isHigh[t] = capped > high && advantage > 0 ? 1 : 0;
    isRegion[t] = isLow[t]! + isHigh[t]!;
  }
  measure(terms, view, "clip_ratio/low_mean", isLow);
  measure(terms, view, "clip_ratio/high_mean", isHigh);
  measure(terms, view, "clip_ratio/region_mean", isRegion);
  if (dual !== null) measure(terms, view, "clip_ratio/dual_mean", isDual);
  terms.extremes = EXTREMES;
  return terms;
}

/**
 * GRPO: mean over completions of the mean over each completion's tokens, weight 1 / (N L). With
 * `importance_sampling_level: sequence` it is GSPO.
 *
 * TRL takes the mean per local batch and divides by the number of batches, which is the same while
 * all of them have as many completions.
 *
 * Source: Shao et al. 2024 (DeepSeekMath), eq. 3; Zheng et al. 2025 (GSPO), eq. 5.
 */
export const grpo: PolicyFormula = { weight: meanOfMeans, terms: clippedTerms };

/**
 * DAPO: mean over all tokens of the optimizer step, weight 1 / T.
 *
 * TRL divides by the tokens of the generation batch, scaled to one step where a generation batch
 * is spent in several; the same where it is spent in one.
 *
 * Source: Yu et al. 2025 (DAPO), eq. 8.
 */
export const dapo: PolicyFormula = { weight: tokenMean, terms: clippedTerms };

/**
 * BNPO: mean over the tokens of a batch, which here is the optimizer step, so it equals `dapo`.
 *
 * TRL takes the mean per local batch and then the mean over the batches of a step; a token of a
 * batch with few tokens weighs more there. With one batch a step it is the same.
 *
 * Source: TRL 1.16 `GRPOTrainer._compute_loss`, loss_type `bnpo`.
 */
export const bnpo: PolicyFormula = { weight: tokenMean, terms: clippedTerms };

/**
 * Dr. GRPO: sum over tokens divided by completions x max_completion_length, a constant, so that
 * length weighs nothing.
 *
 * TRL divides per local batch and by the number of batches, which is the same while all of them
 * have as many completions.
 *
 * Source: Liu et al. 2025 (Dr. GRPO), section 3.
 */
export const drGrpo: PolicyFormula = {
  weight: (_length, totals) => 1 / (totals.completions * totals.maxCompletionLength),
  terms: clippedTerms,
};

/**
 * LUSPO: the clipped term of each completion times its length, mean over completions, weight 1 / N;
 * meant for `importance_sampling_level: sequence`.
 *
 * At that level the sum over tokens is length x term; at token level it is the sum of the tokens'
 * terms. TRL's mean is per local batch, as for `grpo`.
 *
 * Source: TRL 1.16 `GRPOTrainer._compute_loss`, loss_type `luspo`.
 */
export const luspo: PolicyFormula = {
  weight: (_length, totals) => 1 / totals.completions,
  terms: clippedTerms,
};
