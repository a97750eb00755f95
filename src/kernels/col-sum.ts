import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Sums of columns over blocks of rows.
 *
 * output[b, c] = scale * sum over rows r of block b of input[r, c] (+ output with ACCUMULATE); the
 * ceil(rows / rowsPerBlock) blocks are in row order. Two calls make an ordered reduction.
 */
export const colSumKernel = defineKernel({
  name: "col-sum",
  shader: new URL("../../shaders/col-sum.wgsl", import.meta.url),
  buffers: { input: "read", output: "update" },
  params: { rows: "u32", cols: "u32", rowsPerBlock: "u32", scale: "f32" },
  tunables: { WG: [64, 256] },
  constants: { ACCUMULATE: false },
  grid: ({ rows, cols, rowsPerBlock }, { WG }) =>
    grid1d(Math.ceil((Math.ceil(rows / rowsPerBlock) * cols) / Number(WG))),
});
