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

/**
 * RMSNorm, gradient of the input.
 *
 * dy, x, dx: [rows, cols] f32; weight: [cols]; stats: [rows, 2] as `rms-norm` wrote them.
 */
export const rmsNormBackwardKernel = defineKernel({
  name: "rms-norm-backward",
  shader: new URL("../../shaders/rms-norm-backward.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", weight: "read", stats: "read", dx: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8, 128], THREAD_A_ROW: [false, true] },
  grid: ({ rows }, { WG, THREAD_A_ROW }) =>
    grid1d(THREAD_A_ROW === true ? Math.ceil(rows / Number(WG)) : rows),
});

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

/**
 * LayerNorm, gradient of the input.
 *
 * dy, x, dx: [rows, cols] f32; weight: [cols]; stats: [rows, 2] as `layer-norm` wrote them.
 */
export const layerNormBackwardKernel = defineKernel({
  name: "layer-norm-backward",
  shader: new URL("../../shaders/layer-norm-backward.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", weight: "read", stats: "read", dx: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8, 128], THREAD_A_ROW: [false, true] },
  grid: ({ rows }, { WG, THREAD_A_ROW }) =>
    grid1d(THREAD_A_ROW === true ? Math.ceil(rows / Number(WG)) : rows),
});

/**
 * Gradient of the weight of RMSNorm or LayerNorm, in parts over the rows.
 *
 * partial[b, c] = sum over the rows of block b of dy * (x - mean) * rstd; `col-sum` adds the
 * ceil(rows / rowsPerBlock) parts in order. dy, x: [rows, cols] f32; stats: [rows, 2].
 */
export const normWeightGradKernel = defineKernel({
  name: "norm-weight-grad",
  shader: new URL("../../shaders/norm-weight-grad.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", stats: "read", partial: "write" },
  params: { rows: "u32", cols: "u32", rowsPerBlock: "u32" },
  tunables: { WG: [64, 256] },
  grid: ({ rows, cols, rowsPerBlock }, { WG }) =>
    grid1d(Math.ceil((Math.ceil(rows / rowsPerBlock) * cols) / Number(WG))),
});
