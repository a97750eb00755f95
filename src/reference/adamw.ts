/** Coefficients of an AdamW step, named as in torch.optim.AdamW. */
export interface AdamwStep {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 1 for the first update. */
  step: number;
}

/**
 * One AdamW update: decoupled decay, then p -= lr m^ / (sqrt(v^) + eps).
 *
 * param, grad, m, v: [count]; the gradient is multiplied by `coefficient` first; a negative
 * coefficient changes nothing. Source: Loshchilov and Hutter 2019, algorithm 2, with eps outside the
 * root as in torch 2 `_single_tensor_adamw`.
 */
export function adamw(
  param: Float64Array,
  grad: Float64Array,
  m: Float64Array,
  v: Float64Array,
  coefficient: number,
  { learningRate, beta1, beta2, eps, weightDecay, step }: AdamwStep,
): { param: Float64Array; m: Float64Array; v: Float64Array } {
  if (coefficient < 0) return { param: param.slice(), m: m.slice(), v: v.slice() };
  const g = grad.map((value) => value * coefficient);
  const mNew = m.map((value, i) => beta1 * value + (1 - beta1) * g[i]!);
  const vNew = v.map((value, i) => beta2 * value + (1 - beta2) * g[i]! ** 2);
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  const updated = param.map((value, i) => {
    const denominator = Math.sqrt(vNew[i]!) / Math.sqrt(correction2) + eps;
    const decayed = value * (1 - learningRate * weightDecay);
    return decayed - ((learningRate / correction1) * mNew[i]!) / denominator;
  });
  return { param: updated, m: mNew, v: vNew };
}

/**
 * The norm of gradients and the factor that clips it: min(1, maxNorm / (norm + 1e-6)).
 *
 * maxNorm 0 does not clip; a norm that is not finite gives -1 (skip the step).
 * Source: torch.nn.utils.clip_grad_norm_.
 */
export function clipCoefficient(
  squares: Float64Array,
  maxNorm: number,
): { norm: number; coefficient: number } {
  const norm = Math.sqrt(squares.reduce((sum, value) => sum + value, 0));
  if (!Number.isFinite(norm)) return { norm, coefficient: -1 };
  return { norm, coefficient: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1 };
}
