/** Which columns go where: `cols` from `srcFirst` on in rows of `srcCols`, likewise for `dst`. */
export interface ColumnCopy {
  cols: number;
  srcCols: number;
  srcFirst: number;
  dstCols: number;
  dstFirst: number;
}

/**
 * Columns of x laid over those of y: y[r, dstFirst + c] = x[r, srcFirst + c] for c < cols.
 *
 * x: [rows, srcCols]; y: [rows, dstCols], which is left alone; returns [rows, dstCols].
 */
export function copyColumns(
  x: Float64Array,
  y: Float64Array,
  { cols, srcCols, srcFirst, dstCols, dstFirst }: ColumnCopy,
): Float64Array {
  return y.map((value, i) => {
    const row = Math.floor(i / dstCols);
    const c = (i % dstCols) - dstFirst;
    return c >= 0 && c < cols ? x[row * srcCols + srcFirst + c]! : value;
  });
}
