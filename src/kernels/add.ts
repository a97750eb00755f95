import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Sum of two tensors: y = a + scale * b.
 *
 * a, b, y: [count] f32.
 */
export const addKernel = defineKernel({
  name: "add",
  shader: new URL("../../shaders/add.wgsl", import.meta.url),
  buffers: { a: "read", b: "read", y: "write" },
  params: { count: "u32", scale: "f32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
