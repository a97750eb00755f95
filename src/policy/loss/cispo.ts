import {
  emptyTerms,
  measure,
  tokenMean,
  type LossView,
  type PolicyFormula,
  type PolicyTerms,
} from "./formula.ts";

/** -sg(clamp(w, lower, upper)) A logp: every token keeps its gradient, its weight is bounded. */
function cispoTerms(view: LossView, lower: number, upper: number): PolicyTerms {
  const { advantage } = view;
  const terms = emptyTerms(view.length);
  const clipped = new Float64Array(view.length);
  for (let t = 0; t < view.length; t++) {
    const ratio = view.ratio[t]!;
    terms.byLogp[t] = -Math.min(Math.max(ratio, lower), upper) * advantage;
    terms.value[t] = terms.byLogp[t]! * view.logp[t]!;
    clipped[t] = ratio > upper && advantage > 0 ? 1 : 0;
  }
  measure(terms, view, "cispo_clip_ratio", clipped);
  return terms;
}

/**
 * CISPO by TRL's convention: -sg(min(w, epsilon_high)) A logp, mean over the step's tokens.
 *
 * epsilon_high is the cap itself, not its distance from 1, and there is no lower bound; ScaleRL
 * recommends 5. TRL falls back to epsilon where it is null, which scales every loss by a fifth;
 * here null is refused.
 *
 * Source: TRL 1.16 `GRPOTrainer._compute_loss`; Khatri et al. 2025 (ScaleRL).
 */
export const cispo: PolicyFormula = {
  weight: tokenMean,
  // `refuses` has made sure that there is a cap.
  terms: (view, settings) => cispoTerms(view, -Infinity, settings.epsilon_high!),
  refuses: (settings) =>
    settings.epsilon_high === null
      ? {
          key: "epsilon_high",
          message: "`cispo` caps the ratio at it",
          remedy: "Set it; TRL's is 5.",
        }
      : undefined,
};

/**
 * CISPO by MiniMax's convention: -sg(clamp(w, 1 - epsilon, 1 + epsilon_high)) A logp, mean over the
 * step's tokens, as in verl, NeMo-RL and EasyR1.
 *
 * Source: MiniMax-M1 2025, eq. 4-5.
 */
export const cispoMinimax: PolicyFormula = {
  weight: tokenMean,
  terms: (view, { epsilon, epsilon_high: high }) =>
    cispoTerms(view, 1 - epsilon, 1 + (high ?? epsilon)),
};
