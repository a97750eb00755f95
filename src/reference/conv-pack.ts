import { NO_ROW } from "./rows.ts";

/**
 * Windows of a one-dimensional convolution: y[r, c * taps + k] = x[index[r * taps + k], c], or 0
 * where there is no row.
 *
 * x: [rowsIn, cols]; index: [rows, taps]; result: [rows, cols * taps], so that the product with a
 * weight of [outputs, cols, taps] as torch.nn.Conv1d keeps it is the convolution.
 */
export function convPack(
  x: Float64Array,
  index: Uint32Array,
  cols: number,
  taps: number,
): Float64Array {
  const y = new Float64Array(index.length * cols);
  index.forEach((source, i) => {
    if (source === NO_ROW) return;
    const row = Math.floor(i / taps);
    for (let c = 0; c < cols; c++) y[(row * cols + c) * taps + (i % taps)] = x[source * cols + c]!;
  });
  return y;
}

/** Gradient of `convPack` by x, [rowsIn, cols]: every place a value went to gives its part back. */
export function convPackBackward(
  dy: Float64Array,
  index: Uint32Array,
  rowsIn: number,
  cols: number,
  taps: number,
): Float64Array {
  const dx = new Float64Array(rowsIn * cols);
  index.forEach((source, i) => {
    if (source === NO_ROW) return;
    const row = Math.floor(i / taps);
    for (let c = 0; c < cols; c++) {
      dx[source * cols + c] = dx[source * cols + c]! + dy[(row * cols + c) * taps + (i % taps)]!;
    }
  });
  return dx;
}

/**
 * The places that each input row went to, as `conv-pack-backward` reads them.
 *
 * @returns [rowsIn, taps] of out * taps + k in ascending order, filled up with 0xffffffff.
 */
export function invertConvIndex(index: Uint32Array, rowsIn: number, taps: number): Uint32Array {
  const inverse = new Uint32Array(rowsIn * taps).fill(NO_ROW);
  const used = new Uint32Array(rowsIn);
  index.forEach((source, place) => {
    if (source === NO_ROW) return;
    inverse[source * taps + used[source]!] = place;
    used[source] = used[source]! + 1;
  });
  return inverse;
}
