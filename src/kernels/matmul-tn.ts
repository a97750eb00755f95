import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of a linear layer's weight, in parts over the rows.
 *
 * partial[s, n, k] = sum over rows m of [s * rowsPerSplit, (s + 1) * rowsPerSplit) of
 * dy[m, yOffset + n] x[m, k] (+ partial with ACCUMULATE). With splits = 1 it is the gradient itself;
 * otherwise `col-sum` over [splits, n * k] adds the parts in order. dy: [m, yStride]; x: [m, k]; f32.
 */
export const matmulTnKernel = defineKernel({
  name: "matmul-tn",
  shader: new URL("../../shaders/matmul-tn.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", partial: "update" },
  params: {
    m: "u32",
    n: "u32",
    k: "u32",
    yStride: "u32",
    yOffset: "u32",
    rowsPerSplit: "u32",
    splits: "u32",
  },
  tunables: { WG: [8], ROWS: [16, 8, 4], COLS: [4, 2, 1] },
  constants: { ACCUMULATE: false },
  grid: ({ n, k, splits }, { WG, ROWS, COLS }) =>
    grid1d(splits * Math.ceil(n / Number(ROWS)) * Math.ceil(k / (Number(WG) * Number(COLS)))),
});
