import { defineKernel } from "../gpu/kernel.ts";
import { attentionGrid } from "./attention.ts";

/**
 * Gradient of attention with respect to the queries.
 *
 * Shapes as in `attentionKernel`; stats: [rows, heads, 2] of `attentionDeltaKernel`; dq as q.
 * With ACCUMULATE, dq holds the sum over other keys and this binding's part is added.
 */
export const attentionBackwardQKernel = defineKernel({
  name: "attention-backward-q",
  shader: new URL("../../shaders/attention-backward-q.wgsl", import.meta.url),
  buffers: {
    q: "read",
    k: "read",
    v: "read",
    dO: "read",
    stats: "read",
    segments: "read",
    dq: "update",
  },
  params: {
    rows: "u32",
    heads: "u32",
    kvHeads: "u32",
    keyFirst: "u32",
    keyCount: "u32",
    scale: "f32",
  },
  tunables: { WG: [8, 128], SPLIT: [1, 2, 4], KEYS: [2, 4], STAGE: [false, true] },
  constants: { HEAD_DIM: 32, ACCUMULATE: false },
  grid: (params, consts) => attentionGrid(params, consts),
});
