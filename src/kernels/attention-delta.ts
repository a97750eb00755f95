import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * The statistics that the backward attention kernels read.
 *
 * o, dO: [rows, heads * HEAD_DIM]; lse: [rows, heads]; stats: [rows, heads, 2] = (lse, sum o * dO).
 */
export const attentionDeltaKernel = defineKernel({
  name: "attention-delta",
  shader: new URL("../../shaders/attention-delta.wgsl", import.meta.url),
  buffers: { o: "read", dO: "read", lse: "read", stats: "write" },
  params: { rows: "u32", heads: "u32" },
  tunables: { WG: [64] },
  constants: { HEAD_DIM: 32 },
  grid: ({ rows, heads }, consts) => grid1d(Math.ceil((rows * heads) / Number(consts["WG"]))),
});
