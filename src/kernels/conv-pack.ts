import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Windows of a one-dimensional convolution, laid out for a matrix product (im2col).
 *
 * y[r, c * taps + k] = x[index[r * taps + k], c], or 0 where the index is 0xffffffff.
 * x: [rowsIn, cols] f32; index: [rows, taps] u32; y: [rows, cols * taps] f32; rows counts outputs.
 */
export const convPackKernel = defineKernel({
  name: "conv-pack",
  shader: new URL("../../shaders/conv-pack.wgsl", import.meta.url),
  buffers: { x: "read", index: "read", y: "write" },
  params: { rows: "u32", cols: "u32", taps: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
