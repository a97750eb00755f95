import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of an embedding table: sums rows by token, in a fixed order.
 *
 * table[token[b] - first, :] += sum over j in [start[b], start[b + 1]) of dy[order[j] - dyFirst, :];
 * buckets whose token lies outside [first, first + tableRows) and rows outside dy are skipped. dy:
 * [dyRows, cols] f32; order: row numbers; start: [buckets + 1]; token: [buckets], distinct; table:
 * [tableRows, cols] f32. dy in chunks takes one call for each.
 */
export const bucketSumKernel = defineKernel({
  name: "bucket-sum",
  shader: new URL("../../shaders/bucket-sum.wgsl", import.meta.url),
  buffers: { dy: "read", order: "read", start: "read", token: "read", table: "update" },
  params: {
    buckets: "u32",
    cols: "u32",
    first: "u32",
    tableRows: "u32",
    dyFirst: "u32",
    dyRows: "u32",
  },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ buckets }, { ROWS }) => grid1d(Math.ceil(buckets / Number(ROWS))),
});
