import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of a gather: sums the rows that were taken from each source row, in a fixed order.
 *
 * y[i, :] = sum over j in [start[i], start[i + 1]) of x[order[j], :]. x: [gathered, cols] f32; order:
 * rows of x; start: [rows + 1]; y: [rows, cols] f32, zero where nothing was gathered.
 */
export const gatherSumKernel = defineKernel({
  name: "gather-sum",
  shader: new URL("../../shaders/gather-sum.wgsl", import.meta.url),
  buffers: { x: "read", order: "read", start: "read", y: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 256] },
  grid: ({ rows, cols }, { WG }) => grid1d(Math.ceil((rows * cols) / Number(WG))),
});
