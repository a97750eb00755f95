import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Rows written by index.
 *
 * y[index[i] - first, :] = scale * source[i, :] (added to y with ACCUMULATE) where index[i] lies in
 * [first, first + dstRows); other rows are skipped. Indices in the range must be distinct.
 * source: [rows, cols] f32; index: [rows] u32, 0xffffffff for none; y: [dstRows, cols] f32.
 */
export const scatterRowsKernel = defineKernel({
  name: "scatter-rows",
  shader: new URL("../../shaders/scatter-rows.wgsl", import.meta.url),
  buffers: { source: "read", index: "read", y: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", dstRows: "u32", scale: "f32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  constants: { ACCUMULATE: false },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
