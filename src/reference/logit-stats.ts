/**
 * Statistics of softmax(logits * invTemperature) per row.
 *
 * logits: [rows, cols]; targets: [rows].
 *
 * @returns [rows, 3] = (log-probability of the target, log-sum-exp, entropy), in nats.
 */
export function logitStats(
  logits: Float64Array,
  targets: Uint32Array,
  cols: number,
  invTemperature: number,
): Float64Array {
  const out = new Float64Array(targets.length * 3);
  targets.forEach((target, row) => {
    const z = logits.subarray(row * cols, (row + 1) * cols).map((x) => x * invTemperature);
    const top = z.reduce((a, b) => Math.max(a, b));
    const lse = top + Math.log(z.reduce((sum, x) => sum + Math.exp(x - top), 0));
    let entropy = 0;
    for (const x of z) if (x > -Infinity) entropy -= Math.exp(x - lse) * (x - lse);
    out.set([z[target]! - lse, lse, entropy], row * 3);
  });
  return out;
}

/**
 * Gradient with respect to the logits: invT (g0 (onehot - p) - g1 p (log p + H)).
 *
 * grad: [rows, 2] = (dL/dlogp of the target, dL/dentropy).
 *
 * @returns [rows, cols].
 */
export function logitBackward(
  logits: Float64Array,
  targets: Uint32Array,
  grad: Float64Array,
  cols: number,
  invTemperature: number,
): Float64Array {
  const out = logitStats(logits, targets, cols, invTemperature);
  return logits.map((logit, i) => {
    const row = Math.floor(i / cols);
    const logP = logit * invTemperature - out[row * 3 + 1]!;
    const p = Math.exp(logP);
    const onehot = i % cols === targets[row] ? 1 : 0;
    const entropySlope = p > 0 ? p * (logP + out[row * 3 + 2]!) : 0;
    return invTemperature * (grad[row * 2]! * (onehot - p) - grad[row * 2 + 1]! * entropySlope);
  });
}
