import { defineKernel, type Grid, grid1d } from "../gpu/kernel.ts";

/** Workgroups of the kernels that give SPLIT threads to each (row, head) of a key head's group. */
function attentionGrid(
  params: { rows: number; heads: number; kvHeads: number },
  consts: Record<string, number | boolean>,
): Grid {
  const items = Number(consts["WG"]) / Number(consts["SPLIT"] ?? 1);
  const perHead = (params.rows * params.heads) / params.kvHeads;
  return grid1d(Math.ceil(perHead / items) * params.kvHeads);
}

/**
 * Attention of packed rows over the keys that their segments allow.
 *
 * q, o: [rows, heads * HEAD_DIM]; k, v: [keyCount, kvHeads * HEAD_DIM], the global keys from
 * keyFirst; segments: u32 [rows, 4] = two disjoint ranges of global keys; lse: [rows, heads], -3e38
 * for a row that sees no key (o is 0 there). With MERGE, o and lse hold the result over other keys
 * and are combined with this binding's. Buffers must be 16-byte aligned.
 */
export const attentionKernel = defineKernel({
  name: "attention",
  shader: new URL("../../shaders/attention.wgsl", import.meta.url),
  buffers: { q: "read", k: "read", v: "read", segments: "read", o: "update", lse: "update" },
  params: {
    rows: "u32",
    heads: "u32",
    kvHeads: "u32",
    keyFirst: "u32",
    keyCount: "u32",
    scale: "f32",
  },
  tunables: { WG: [8, 128], SPLIT: [1, 2, 4], KEYS: [4, 8], STAGE: [false, true] },
  constants: { HEAD_DIM: 32, MERGE: false },
  grid: (params, consts) => attentionGrid(params, consts),
});

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

/**
 * Stores the current step's keys and values in each branch's suffix.
 *
 * k, v: [rows, width]; suffixK, suffixV: [rows, capacity, width], written at [row, state[0]].
 */
export const kvAppendKernel = defineKernel({
  name: "kv-append",
  shader: new URL("../../shaders/kv-append.wgsl", import.meta.url),
  buffers: { k: "read", v: "read", state: "read", suffixK: "update", suffixV: "update" },
  params: { rows: "u32", width: "u32", capacity: "u32" },
  tunables: { WG: [64] },
  grid: ({ rows, width }, consts) => grid1d(Math.ceil((rows * width) / Number(consts["WG"]))),
});

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

/**
 * Rotary position embedding in rotate-half form, with one table row per data row.
 *
 * x, y: [rows, heads * headDim] f32; table: [rows, headDim] f32, cosines then sines of headDim / 2
 * angles. sign is 1 forward and -1 for the gradient.
 */
export const ropeKernel = defineKernel({
  name: "rope",
  shader: new URL("../../shaders/rope.wgsl", import.meta.url),
  buffers: { x: "read", table: "read", y: "write" },
  params: { rows: "u32", heads: "u32", headDim: "u32", sign: "f32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});

/**
 * Rotary position embedding of one new token per branch; the step is in GPU memory.
 *
 * As `rope`, with table row base[row] + state[0]. base: [rows] u32; state: u32, the step first.
 */
export const ropeDecodeKernel = defineKernel({
  name: "rope-decode",
  shader: new URL("../../shaders/rope-decode.wgsl", import.meta.url),
  buffers: { x: "read", table: "read", base: "read", state: "read", y: "write" },
  params: { rows: "u32", heads: "u32", headDim: "u32", sign: "f32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
