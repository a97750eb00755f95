import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
