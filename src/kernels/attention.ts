import { defineKernel, grid1d, type Grid } from "../gpu/kernel.ts";

/** Workgroups of the kernels that give SPLIT threads to each (row, head) of a key head's group. */
export function attentionGrid(
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
