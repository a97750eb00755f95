import { clippedTerms } from "./clip.ts";
import type { PolicyFormula } from "./formula.ts";

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
