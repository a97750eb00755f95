import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * RMSNorm over the rows of a matrix.
 *
 * x, y: [rows, cols] f32; weight: [cols]; stats: [rows, 2] = (0, 1/rms), for the backward pass.
 */
export const rmsNormKernel = defineKernel({
  name: "rms-norm",
  shader: new URL("../../shaders/rms-norm.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", y: "write", stats: "write" },
  params: { rows: "u32", cols: "u32", eps: "f32" },
  tunables: { WG: [64, 8, 128], THREAD_A_ROW: [false, true] },
  grid: ({ rows }, { WG, THREAD_A_ROW }) =>
    grid1d(THREAD_A_ROW === true ? Math.ceil(rows / Number(WG)) : rows),
});
