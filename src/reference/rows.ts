/** The index that stands for no row. */
export const NO_ROW = 0xffffffff;

/**
 * Rows of a table by index: y[i] += scale * source[index[i] - first] where that row exists.
 *
 * source: [srcRows, cols]; y: [index.length, cols], zero to begin with unless the call accumulates.
 */
export function gatherRows(
  source: Float64Array,
  index: Uint32Array,
  y: Float64Array,
  cols: number,
  first = 0,
  scale = 1,
): void {
  const srcRows = source.length / cols;
  index.forEach((row, i) => {
    if (row < first || row >= first + srcRows) return;
    for (let c = 0; c < cols; c++) {
      y[i * cols + c] = y[i * cols + c]! + scale * source[(row - first) * cols + c]!;
    }
  });
}

/**
 * Gradient of an embedding table: adds every row of dy to the table's row of its token.
 *
 * dy: [tokens.length, cols]; table: [tableRows, cols], which holds the tokens from `first` on.
 */
export function embeddingBackward(
  dy: Float64Array,
  tokens: Uint32Array,
  table: Float64Array,
  cols: number,
  first = 0,
): void {
  const tableRows = table.length / cols;
  tokens.forEach((token, i) => {
    if (token < first || token >= first + tableRows) return;
    for (let c = 0; c < cols; c++) {
      const at = (token - first) * cols + c;
      table[at] = table[at]! + dy[i * cols + c]!;
    }
  });
}

/** Rows plus rows of a table: x[i] + table[index[i]]; x: [index.length, cols]. */
export function addRows(
  x: Float64Array,
  table: Float64Array,
  index: Uint32Array,
  cols: number,
): Float64Array {
  return x.map((value, i) => value + table[index[Math.floor(i / cols)]! * cols + (i % cols)]!);
}

/** Mean of two neighbouring rows: (x[first[i]] + x[first[i] + 1]) / 2; x: [rowsIn, cols]. */
export function poolRows(x: Float64Array, first: Uint32Array, cols: number): Float64Array {
  const y = new Float64Array(first.length * cols);
  first.forEach((row, i) => {
    for (let c = 0; c < cols; c++) {
      y[i * cols + c] = (x[row * cols + c]! + x[(row + 1) * cols + c]!) / 2;
    }
  });
  return y;
}

/** Gradient of `poolRows` by x, [rowsIn, cols]: half of dy goes to both rows of a pair. */
export function poolRowsBackward(
  dy: Float64Array,
  first: Uint32Array,
  rowsIn: number,
  cols: number,
): Float64Array {
  const dx = new Float64Array(rowsIn * cols);
  first.forEach((row, i) => {
    for (let c = 0; c < cols; c++) {
      dx[row * cols + c] = dx[row * cols + c]! + dy[i * cols + c]! / 2;
      dx[(row + 1) * cols + c] = dx[(row + 1) * cols + c]! + dy[i * cols + c]! / 2;
    }
  });
  return dx;
}
