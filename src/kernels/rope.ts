import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
