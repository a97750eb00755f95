import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of a gather: sums the rows that were taken from each source row, in a fixed order.
 *
 * y[i, :] = sum over j in [start[first + i], start[first + i + 1]) of x[order[j] - xFirst, :], leaving out
 * rows of x outside [0, xRows). x: [xRows, cols] f32; order: gathered rows; start: all group borders;
 * y: [rows, cols] f32, zero where nothing was gathered. x in chunks: the first without ACCUMULATE, the
 * others in order with it, which gives the bits of one call.
 */
export const gatherSumKernel = defineKernel({
  name: "gather-sum",
  shader: new URL("../../shaders/gather-sum.wgsl", import.meta.url),
  buffers: { x: "read", order: "read", start: "read", y: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", xFirst: "u32", xRows: "u32" },
  tunables: { WG: [64, 256] },
  constants: { ACCUMULATE: false },
  grid: ({ rows, cols }, { WG }) => grid1d(Math.ceil((rows * cols) / Number(WG))),
});
