import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * `matmul-nt` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulNtTiledKernel = defineKernel({
  name: "matmul-nt-tiled",
  shader: new URL("../../shaders/matmul-nt-tiled.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  libraries: { weight: ["f32", "f16s"] },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { TILE }) => grid1d(Math.ceil(m / Number(TILE)) * Math.ceil(n / Number(TILE))),
});
