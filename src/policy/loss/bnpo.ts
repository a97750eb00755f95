import { clippedTerms } from "./clip.ts";
import { tokenMean, type PolicyFormula } from "./formula.ts";

/**
 * BNPO: mean over the tokens of a batch, which here is the optimizer step, so it equals `dapo`.
 *
 * TRL takes the mean per local batch and then the mean over the batches of a step; a token of a
 * batch with few tokens weighs more there. With one batch a step it is the same.
 *
 * Source: TRL 1.16 `GRPOTrainer._compute_loss`, loss_type `bnpo`.
 */
export const bnpo: PolicyFormula = { weight: tokenMean, terms: clippedTerms };
