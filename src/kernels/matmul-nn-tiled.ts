import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * `matmul-nn` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulNnTiledKernel = defineKernel({
  name: "matmul-nn-tiled",
  shader: new URL("../../shaders/matmul-nn-tiled.wgsl", import.meta.url),
  buffers: { dy: "read", weight: "read", dx: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  libraries: { weight: ["f32", "f16s"] },
  constants: { ACCUMULATE: false },
  grid: ({ m, k }, { TILE }) => grid1d(Math.ceil(m / Number(TILE)) * Math.ceil(k / Number(TILE))),
});
