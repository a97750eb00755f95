/** Sums gathered rows by source row: y[i] = sum of x[order[j]] for j in [start[i], start[i+1]). */
export function gatherSum(
  x: Float64Array,
  order: ArrayLike<number>,
  start: ArrayLike<number>,
  rows: number,
  cols: number,
): Float64Array {
  const y = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = start[i]!; j < start[i + 1]!; j++) {
      for (let c = 0; c < cols; c++) y[i * cols + c]! += x[order[j]! * cols + c]!;
    }
  }
  return y;
}
