/** What the policy loss reads of each token; all arrays [tokens]. */
export interface PolicyTokens {
  logp: Float64Array;
  oldLogp: Float64Array;
  refLogp: Float64Array;
  entropy: Float64Array;
  advantage: Float64Array;
  /** The token's share of the loss; 0 = masked. */
  weight: Float64Array;
}

/** Coefficients of the policy loss, as in TRL's `GRPOConfig`. */
export interface PolicyCoefficients {
  epsilonLow: number;
  epsilonHigh: number;
  beta: number;
  entropyCoef: number;
}

/** Numbers in a row of `terms`. */
export const POLICY_TERMS = 8;

/**
 * GRPO's loss per token: -min(w A, clamp(w, 1 - low, 1 + high) A) + beta k3 - entropyCoef H with
 * w = exp(logp - old) and k3 = exp(ref - logp) - (ref - logp) - 1.
 *
 * Source: Schulman et al. 2017, eq. 7; Shao et al. 2024, eq. 4; TRL `GRPOTrainer._compute_loss`.
 *
 * @returns loss: the weighted sum; grad: [tokens, 2] = (dL/dlogp, dL/dentropy); terms: [tokens, 8] =
 *   (weighted loss, 1 unless masked, k3, w, clipped low, clipped high, entropy, |logp - old|).
 */
export function policyLoss(
  tokens: PolicyTokens,
  coefficients: PolicyCoefficients,
): { loss: number; grad: Float64Array; terms: Float64Array } {
  const { epsilonLow, epsilonHigh, beta, entropyCoef } = coefficients;
  const count = tokens.logp.length;
  const grad = new Float64Array(count * 2);
  const terms = new Float64Array(count * POLICY_TERMS);
  let loss = 0;
  for (let t = 0; t < count; t++) {
    const weight = tokens.weight[t]!;
    if (weight === 0) continue;
    const advantage = tokens.advantage[t]!;
    const difference = tokens.logp[t]! - tokens.oldLogp[t]!;
    const ratio = Math.exp(difference);
    const clamped = Math.min(Math.max(ratio, 1 - epsilonLow), 1 + epsilonHigh);
    const toRef = tokens.refLogp[t]! - tokens.logp[t]!;
    const k3 = Math.expm1(toRef) - toRef;
    const entropy = tokens.entropy[t]!;
    const free = ratio * advantage;
    const policy = -Math.min(free, clamped * advantage);
    const weighted = weight * (policy + beta * k3 - entropyCoef * entropy);
    const slope = free <= clamped * advantage ? -free : 0;
    grad[t * 2] = weight * (slope - beta * Math.expm1(toRef));
    grad[t * 2 + 1] = -weight * entropyCoef;
    const low = ratio < 1 - epsilonLow && advantage < 0 ? 1 : 0;
    const high = ratio > 1 + epsilonHigh && advantage > 0 ? 1 : 0;
    terms.set([weighted, 1, k3, ratio, low, high, entropy, Math.abs(difference)], t * POLICY_TERMS);
    loss += weighted;
  }
  return { loss, grad, terms };
}

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
