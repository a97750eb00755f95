import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradients of attention with respect to keys and values.
 *
 * q, dO: [rowCount, heads * HEAD_DIM] and stats: [rowCount, heads, 2], the global rows from
 * rowFirst; k, v, dk, dv: [keys, kvHeads * HEAD_DIM]; keyRanges: u32 [keys, 2], the global rows
 * [q0, q1) that see the key. With ACCUMULATE, dk and dv hold the sums over other rows.
 */
export const attentionBackwardKvKernel = defineKernel({
  name: "attention-backward-kv",
  shader: new URL("../../shaders/attention-backward-kv.wgsl", import.meta.url),
  buffers: {
    q: "read",
    k: "read",
    v: "read",
    dO: "read",
    stats: "read",
    keyRanges: "read",
    dk: "update",
    dv: "update",
  },
  params: {
    keys: "u32",
    heads: "u32",
    kvHeads: "u32",
    rowFirst: "u32",
    rowCount: "u32",
    scale: "f32",
  },
  tunables: { WG: [8, 128], SPLIT: [1, 2, 4], QUERIES: [2, 4], STAGE: [false, true] },
  constants: { HEAD_DIM: 32, ACCUMULATE: false },
  grid: ({ keys, kvHeads }, consts) =>
    grid1d(Math.ceil((keys * Number(consts["SPLIT"])) / Number(consts["WG"])) * kvHeads),
});
