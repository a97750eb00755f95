/**
 * Whether the off-policy mask keeps tokens of a negative advantage of one completion.
 *
 * Kept while the mean of sampling - logp over its tokens, an estimate of the KL from the sampling
 * distribution to the policy, is at most the threshold. Tokens of advantage >= 0 are always kept. A
 * NaN in `sampling` is no evidence. The mask has no gradient.
 *
 * Source: DeepSeek-V3.2 2025, eq. 9; TRL 1.16 `GRPOTrainer.get_off_policy_mask`.
 *
 * @param sampling [tokens] log-probabilities at sampling, or `old` where those are unknown.
 */
export function isOnPolicy(
  logp: ArrayLike<number>,
  sampling: ArrayLike<number>,
  start: number,
  length: number,
  threshold: number,
): boolean {
  let sum = 0;
  for (let t = start; t < start + length; t++) {
    const difference = sampling[t]! - logp[t]!;
    if (!Number.isNaN(difference)) sum += difference;
  }
  return sum / Math.max(1, length) <= threshold;
}
