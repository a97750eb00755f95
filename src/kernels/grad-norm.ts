import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Sums of squares of a gradient by blocks, for `clipCoefficientKernel`.
 *
 * grad: [count]; partial: block b of `perBlock` elements writes element first + b.
 */
export const gradNormKernel = defineKernel({
  name: "grad-norm",
  shader: new URL("../../shaders/grad-norm.wgsl", import.meta.url),
  buffers: { grad: "read", partial: "update" },
  params: { count: "u32", perBlock: "u32", first: "u32" },
  tunables: { WG: [64, 256] },
  grid: ({ count, perBlock }) => grid1d(Math.ceil(count / perBlock)),
});
