import { defineKernel } from "../gpu/kernel.ts";
import { attentionGrid } from "./attention.ts";

/**
 * Attention of one new row per branch over the shared prefix and the branch's own suffix.
 *
 * q, o: [rows, heads * HEAD_DIM]; prefixK, prefixV: [prefix rows, kvHeads * HEAD_DIM];
 * suffixK, suffixV: [rows, capacity, kvHeads * HEAD_DIM], of which rows 0 .. state[0] are valid;
 * table: u32 [rows, 2] = the branch's prefix rows [start, end); state: u32, [0] = current step.
 */
export const attentionDecodeKernel = defineKernel({
  name: "attention-decode",
  shader: new URL("../../shaders/attention-decode.wgsl", import.meta.url),
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
  tunables: { WG: [8], KEYS: [4] },
  constants: { HEAD_DIM: 32 },
  grid: (params, consts) => attentionGrid(params, consts),
});
