/**
 * Tells if the off-policy mask keeps tokens of a negative advantage of one completion.
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

/**
 * Computes the minimum entropy of the tokens that `top_entropy_quantile` keeps.
 *
 * The (1 - fraction) quantile over all tokens of the step, linear between neighbours; tokens at or
 * above it are kept. A fraction of 1 keeps all, and so does a step without tokens keep none. TRL
 * takes it over the local batches that run at the same time, in float32.
 *
 * Source: Wang et al. 2025 (Beyond the 80/20 rule), eq. 5; TRL 1.16
 * `GRPOTrainer.get_high_entropy_mask`; `torch.quantile`.
 *
 * @returns -Infinity where all are kept.
 */
export function topEntropyThreshold(entropies: readonly number[], fraction: number): number {
  if (fraction >= 1) return -Infinity;
  if (entropies.length === 0) return Infinity;
  const sorted = Float64Array.from(entropies).sort();
  const rank = (1 - fraction) * (sorted.length - 1);
  const below = sorted[Math.floor(rank)]!;
  const above = sorted[Math.ceil(rank)]!;
  const part = rank - Math.floor(rank);
  // The two forms of torch.lerp, which keep the ends exact.
  return part < 0.5 ? below + part * (above - below) : above - (above - below) * (1 - part);
}
