import { clippedTerms } from "./clip.ts";
import { meanOfMeans, type PolicyFormula } from "./formula.ts";

/**
 * GRPO: mean over completions of the mean over each completion's tokens. With
 * `importance_sampling_level: sequence` it is GSPO.
 *
 * TRL takes the mean per local batch and divides by the number of batches, which is the same while
 * all of them have as many completions.
 *
 * Source: Shao et al. 2024 (DeepSeekMath), eq. 3; Zheng et al. 2025 (GSPO), eq. 5.
 */
export const grpo: PolicyFormula = { weight: meanOfMeans, terms: clippedTerms };
