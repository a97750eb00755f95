import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of the weight of RMSNorm or LayerNorm, in parts over the rows.
 *
 * partial[b, c] = sum over the rows of block b of dy * (x - mean) * rstd; `col-sum` adds the
 * ceil(rows / rowsPerBlock) parts in order. dy, x: [rows, cols] f32; stats: [rows, 2].
 */
export const normWeightGradKernel = defineKernel({
  name: "norm-weight-grad",
  shader: new URL("../../shaders/norm-weight-grad.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", stats: "read", partial: "write" },
  params: { rows: "u32", cols: "u32", rowsPerBlock: "u32" },
  tunables: { WG: [64, 256] },
  grid: ({ rows, cols, rowsPerBlock }, { WG }) =>
    grid1d(Math.ceil((Math.ceil(rows / rowsPerBlock) * cols) / Number(WG))),
});
