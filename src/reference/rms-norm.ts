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
