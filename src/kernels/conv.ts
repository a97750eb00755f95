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

/**
 * Mean of two neighbouring rows: y[i, :] = (x[first[i], :] + x[first[i] + 1, :]) / 2.
 *
 * x: [rowsIn, cols] f32; first: [rows] u32; y: [rows, cols] f32. Its gradient is `gather-rows` with scale 0.5.
 */
export const poolRowsKernel = defineKernel({
  name: "pool-rows",
  shader: new URL("../../shaders/pool-rows.wgsl", import.meta.url),
  buffers: { x: "read", first: "read", y: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
