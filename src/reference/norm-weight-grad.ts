/**
 * Gradient of the weight of RMSNorm or LayerNorm, for each block of rows: the sum over the block of
 * dy * (x - mean) * rstd.
 *
 * dy, x: [rows, cols]; stats: [rows, 2] = (mean, rstd); result: [ceil(rows / rowsPerBlock), cols].
 */
export function normWeightGrad(
  dy: Float64Array,
  x: Float64Array,
  stats: Float64Array,
  rows: number,
  cols: number,
  rowsPerBlock = rows,
): Float64Array {
  const partial = new Float64Array(Math.ceil(rows / rowsPerBlock) * cols);
  for (let r = 0; r < rows; r++) {
    const block = Math.floor(r / rowsPerBlock);
    for (let c = 0; c < cols; c++) {
      const z = (x[r * cols + c]! - stats[r * 2]!) * stats[r * 2 + 1]!;
      partial[block * cols + c] = partial[block * cols + c]! + dy[r * cols + c]! * z;
    }
  }
  return partial;
}
