import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
