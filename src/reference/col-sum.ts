/**
 * Sums of the columns of each block of rows: [ceil(rows / rowsPerBlock), cols].
 *
 * input: [rows, cols].
 */
export function colSum(
  input: Float64Array,
  rows: number,
  cols: number,
  rowsPerBlock: number,
  scale = 1,
): Float64Array {
  const output = new Float64Array(Math.ceil(rows / rowsPerBlock) * cols);
  for (let r = 0; r < rows; r++) {
    const block = Math.floor(r / rowsPerBlock);
    for (let c = 0; c < cols; c++) {
      output[block * cols + c] = output[block * cols + c]! + scale * input[r * cols + c]!;
    }
  }
  return output;
}
