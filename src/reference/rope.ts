/**
 * Rotary position embedding in rotate-half form: lanes j and j + headDim / 2 of every head turn by
 * the angle j of the row's table entry.
 *
 * x: [rows, heads, headDim]; table: [positions, headDim] = cosines, then sines; `tableRow` gives the
 * entry of a row. With sign -1 it turns back, which is the gradient.
 * Source: Su et al. 2021, eq. 34; transformers 4.57.6 `rotate_half`.
 */
export function rope(
  x: Float64Array,
  table: Float64Array,
  rows: number,
  heads: number,
  headDim: number,
  sign: 1 | -1 = 1,
  tableRow: (row: number) => number = (row) => row,
): Float64Array {
  const y = new Float64Array(x.length);
  const half = headDim / 2;
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const at = (r * heads + h) * headDim;
      for (let j = 0; j < half; j++) {
        const cos = table[tableRow(r) * headDim + j]!;
        const sin = sign * table[tableRow(r) * headDim + half + j]!;
        y[at + j] = x[at + j]! * cos - x[at + half + j]! * sin;
        y[at + half + j] = x[at + half + j]! * cos + x[at + j]! * sin;
      }
    }
  }
  return y;
}
