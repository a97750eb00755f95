import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * `matmul-nt` for few rows, with the sum over k shared by threads: same bindings and parameters.
 *
 * Meant for m <= ROWS; right for any m. The tunables are threads per workgroup, threads per output
 * column, and rows per thread.
 */
export const matmulSkinnyKernel = defineKernel({
  name: "matmul-skinny",
  shader: new URL("../../shaders/matmul-skinny.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { WG: [64, 128], LANES: [16, 32], ROWS: [16, 8, 4, 2, 1] },
  libraries: { weight: ["f32", "f16s"] },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { WG, LANES, ROWS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil((n * Number(LANES)) / Number(WG))),
});
