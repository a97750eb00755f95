import { clippedTerms } from "./clip.ts";
import type { PolicyFormula } from "./formula.ts";

/**
 * LUSPO: the clipped term of each completion times its length, mean over completions; meant for
 * `importance_sampling_level: sequence`.
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
