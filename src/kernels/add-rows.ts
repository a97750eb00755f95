import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Rows plus rows of a table by index (a learned or fixed position table): y[i, :] = x[i, :] + table[index[i], :].
 *
 * x, y: [rows, cols] f32; table: [tableRows, cols] f32; index: [rows] u32, each below tableRows.
 */
export const addRowsKernel = defineKernel({
  name: "add-rows",
  shader: new URL("../../shaders/add-rows.wgsl", import.meta.url),
  buffers: { x: "read", table: "read", index: "read", y: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
