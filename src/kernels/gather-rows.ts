import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Rows of a table by index.
 *
 * y[i, :] = scale * weight[index[i] - first, :] where index[i] lies in [first, first + srcRows)
 * (added to y with ACCUMULATE). Other rows become zero, or stay with KEEP or ACCUMULATE: a table in
 * chunks is gathered by one call without KEEP, then one with KEEP for every further chunk.
 * weight: [srcRows, cols] f32, or f16s with rows padded to a multiple of 4; index: [rows] u32,
 * 0xffffffff for none; y: [rows, cols] f32.
 */
export const gatherRowsKernel = defineKernel({
  name: "gather-rows",
  shader: new URL("../../shaders/gather-rows.wgsl", import.meta.url),
  buffers: { weight: "read", index: "read", y: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", srcRows: "u32", scale: "f32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  libraries: { weight: ["f32", "f16s"] },
  constants: { KEEP: false, ACCUMULATE: false },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
