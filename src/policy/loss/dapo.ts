import { clippedTerms } from "./clip.ts";
import { tokenMean, type PolicyFormula } from "./formula.ts";

/**
 * DAPO: mean over all tokens of the optimizer step.
 *
 * TRL divides by the tokens of the generation batch, scaled to one step where a generation batch
 * is spent in several; the same where it is spent in one.
 *
 * Source: Yu et al. 2025 (DAPO), eq. 8.
 */
export const dapo: PolicyFormula = { weight: tokenMean, terms: clippedTerms };
