import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Matrix product with a transposed weight, the forward pass of a linear layer.
 *
 * y[m, yOffset + n] = scale * sum_k x[m, k] weight[n, k] (+ bias) (+ residual) (+ y), each with its
 * constant; bias and residual are indexed like y. x: [m, k] f32; weight: [n, k] f32, or f16s with rows
 * padded to a multiple of 4; y, residual: [m, yStride] f32. Bindings that a constant switches off
 * may be any buffer. Accumulates in f32.
 */
export const matmulNtKernel = defineKernel({
  name: "matmul-nt",
  shader: new URL("../../shaders/matmul-nt.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { WG: [8], ROWS: [16, 8, 4], COLS: [4, 2, 1] },
  libraries: { weight: ["f32", "f16s"] },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { WG, ROWS, COLS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil(n / (Number(WG) * Number(COLS)))),
});
