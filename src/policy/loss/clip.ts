import { emptyTerms, measure, type CompletionView, type PolicyTerms } from "./formula.ts";
import type { LossSettings } from "./settings.ts";

/**
 * The clipped surrogate of PPO: -min(min(w, delta) A, clamp(w, 1 - epsilon, 1 + epsilon_high) A).
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
export function clippedTerms(view: CompletionView, settings: LossSettings): PolicyTerms {
  const { epsilon, delta, clip_ratio_c: dual } = settings;
  const low = 1 - epsilon;
  const high = 1 + (settings.epsilon_high ?? epsilon);
  const terms = emptyTerms(view.length);
  const flags = () => new Float64Array(view.length);
  const [isLow, isHigh, isRegion, isDual] = [flags(), flags(), flags(), flags()];
  for (let t = 0; t < view.length; t++) {
    const advantage = view.advantage[t]!;
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
  return terms;
}
