import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * `matmul-tn` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulTnTiledKernel = defineKernel({
  name: "matmul-tn-tiled",
  shader: new URL("../../shaders/matmul-tn-tiled.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", partial: "update" },
  params: {
    m: "u32",
    n: "u32",
    k: "u32",
    yStride: "u32",
    yOffset: "u32",
    rowsPerSplit: "u32",
    splits: "u32",
  },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  constants: { ACCUMULATE: false },
  grid: ({ n, k, splits }, { TILE }) =>
    grid1d(splits * Math.ceil(n / Number(TILE)) * Math.ceil(k / Number(TILE))),
});
