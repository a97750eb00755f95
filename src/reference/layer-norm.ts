/**
 * LayerNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias, for each row.
 *
 * x: [rows, cols]; weight, bias: [cols]; stats: [rows, 2] = (mean, 1/deviation).
 * Source: Ba, Kiros and Hinton 2016, eq. 4; torch.nn.LayerNorm (biased variance).
 */
export function layerNorm(
  x: Float64Array,
  weight: Float64Array,
  bias: Float64Array,
  rows: number,
  cols: number,
  eps: number,
): { y: Float64Array; stats: Float64Array } {
  const y = new Float64Array(rows * cols);
  const stats = new Float64Array(rows * 2);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * cols, (r + 1) * cols);
    const mean = row.reduce((sum, value) => sum + value, 0) / cols;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / cols;
    const rstd = 1 / Math.sqrt(variance + eps);
    stats[r * 2] = mean;
    stats[r * 2 + 1] = rstd;
    for (let c = 0; c < cols; c++)
      y[r * cols + c] = (row[c]! - mean) * rstd * weight[c]! + bias[c]!;
  }
  return { y, stats };
}

/**
 * Gradient of `layerNorm` by x: dx = rstd * (g - mean(g) - z * mean(g * z)), where g = dy * weight
 * and z = (x - mean) * rstd.
 *
 * The gradient by the weight is `normWeightGrad`, that by the bias the column sum of dy.
 */
export function layerNormBackward(
  dy: Float64Array,
  x: Float64Array,
  weight: Float64Array,
  stats: Float64Array,
  rows: number,
  cols: number,
): Float64Array {
  const dx = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    const mean = stats[r * 2]!;
    const rstd = stats[r * 2 + 1]!;
    let sum = 0;
    let along = 0;
    for (let c = 0; c < cols; c++) {
      const g = dy[r * cols + c]! * weight[c]!;
      sum += g;
      along += g * (x[r * cols + c]! - mean) * rstd;
    }
    for (let c = 0; c < cols; c++) {
      const at = r * cols + c;
      const z = (x[at]! - mean) * rstd;
      dx[at] = rstd * (dy[at]! * weight[c]! - sum / cols - (z * along) / cols);
    }
  }
  return dx;
}
