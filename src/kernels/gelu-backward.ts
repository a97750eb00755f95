import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradient of `gelu`: dx = dy * (Phi(x) + x * phi(x)).
 *
 * dy, x, dx: [count] f32.
 */
export const geluBackwardKernel = defineKernel({
  name: "gelu-backward",
  shader: new URL("../../shaders/gelu-backward.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", dx: "write" },
  params: { count: "u32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
