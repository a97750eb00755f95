import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of `conv-pack`.
 *
 * dx[i, c] = sum over t < taps of dy[out, c * taps + k], where inverse[i * taps + t] =
 * out * taps + k, or 0xffffffff for none. dy: [rowsOut, cols * taps] f32; inverse: [rows, taps] u32;
 * dx: [rows, cols] f32; rows counts inputs.
 */
export const convPackBackwardKernel = defineKernel({
  name: "conv-pack-backward",
  shader: new URL("../../shaders/conv-pack-backward.wgsl", import.meta.url),
  buffers: { dy: "read", inverse: "read", dx: "write" },
  params: { rows: "u32", cols: "u32", taps: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
