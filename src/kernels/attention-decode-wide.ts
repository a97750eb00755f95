import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * `attentionDecodeKernel` for GPUs: the same buffers, parameters and result, one workgroup for each
 * (row, head).
 */
export const attentionDecodeWideKernel = defineKernel({
  name: "attention-decode-wide",
  shader: new URL("../../shaders/attention-decode-wide.wgsl", import.meta.url),
  buffers: {
    q: "read",
    prefixK: "read",
    prefixV: "read",
    suffixK: "read",
    suffixV: "read",
    table: "read",
    state: "read",
    o: "write",
  },
  params: { rows: "u32", heads: "u32", kvHeads: "u32", capacity: "u32", scale: "f32" },
  tunables: { WG: [128, 64] },
  constants: { HEAD_DIM: 32 },
  grid: ({ rows, heads }) => grid1d(rows * heads),
});
