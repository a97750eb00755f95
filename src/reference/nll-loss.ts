/**
 * Negative log-likelihood per token.
 *
 * logp, weight: [tokens].
 *
 * @returns loss: sum of weight * -logp; grad: [tokens, 2] = (-weight, 0); terms: [tokens, 2] =
 *   (weight * -logp, 1 unless the weight is 0).
 */
export function nllLoss(
  logp: Float64Array,
  weight: Float64Array,
): { loss: number; grad: Float64Array; terms: Float64Array } {
  const grad = new Float64Array(logp.length * 2);
  const terms = new Float64Array(logp.length * 2);
  let loss = 0;
  weight.forEach((share, t) => {
    if (share === 0) return;
    grad[t * 2] = -share;
    terms.set([-share * logp[t]!, 1], t * 2);
    loss -= share * logp[t]!;
  });
  return { loss, grad, terms };
}
