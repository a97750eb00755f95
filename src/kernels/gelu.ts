import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * GELU with the error function (not the tanh form): y = x * (1 + erf(x / sqrt(2))) / 2.
 *
 * x, y: [count] f32.
 */
export const geluKernel = defineKernel({
  name: "gelu",
  shader: new URL("../../shaders/gelu.wgsl", import.meta.url),
  buffers: { x: "read", y: "write" },
  params: { count: "u32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
