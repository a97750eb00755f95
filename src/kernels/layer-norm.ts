import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * LayerNorm over the rows of a matrix.
 *
 * x, y: [rows, cols] f32; weight, bias: [cols]; stats: [rows, 2] = (mean, 1/deviation), for backward.
 */
export const layerNormKernel = defineKernel({
  name: "layer-norm",
  shader: new URL("../../shaders/layer-norm.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", y: "write", stats: "write" },
  params: { rows: "u32", cols: "u32", eps: "f32" },
  tunables: { WG: [64, 8, 128], THREAD_A_ROW: [false, true] },
  grid: ({ rows }, { WG, THREAD_A_ROW }) =>
    grid1d(THREAD_A_ROW === true ? Math.ceil(rows / Number(WG)) : rows),
});
