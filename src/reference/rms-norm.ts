/**
 * RMSNorm: y = x / sqrt(mean(x^2) + eps) * weight, for each row.
 *
 * Source: Zhang and Sennrich 2019, eq. 4; transformers 4.57.6 `Qwen2RMSNorm`.
 */
export function rmsNorm(
  x: Float64Array,
  weight: Float64Array,
  rows: number,
  cols: number,
  eps: number,
): { y: Float64Array; stats: Float64Array } {
  const y = new Float64Array(rows * cols);
  const stats = new Float64Array(rows * 2);
  for (let r = 0; r < rows; r++) {
    let square = 0;
    for (let c = 0; c < cols; c++) square += x[r * cols + c]! ** 2;
    const rstd = 1 / Math.sqrt(square / cols + eps);
    stats[r * 2 + 1] = rstd;
    for (let c = 0; c < cols; c++) y[r * cols + c] = x[r * cols + c]! * rstd * weight[c]!;
  }
  return { y, stats };
}

/**
 * Gradient of `rmsNorm` by x: dx = rstd * (g - z * mean(g * z)), g = dy * weight, z = x * rstd.
 *
 * The gradient by the weight is `normWeightGrad`.
 */
export function rmsNormBackward(
  dy: Float64Array,
  x: Float64Array,
  weight: Float64Array,
  stats: Float64Array,
  rows: number,
  cols: number,
): Float64Array {
  const dx = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    const rstd = stats[r * 2 + 1]!;
    let along = 0;
    for (let c = 0; c < cols; c++) {
      along += dy[r * cols + c]! * weight[c]! * x[r * cols + c]! * rstd;
    }
    for (let c = 0; c < cols; c++) {
      const at = r * cols + c;
      dx[at] = rstd * (dy[at]! * weight[c]! - (x[at]! * rstd * along) / cols);
    }
  }
  return dx;
}
