import { defineKernel, grid1d } from "../../../src/gpu/kernel.ts";

/**
 * Softsign of a given sharpness: y = s x / (1 + |s x|).
 *
 * x, y: [count] f32.
 */
export const softsignKernel = defineKernel({
  name: "softsign",
  shader: new URL("softsign.wgsl", import.meta.url),
  buffers: { x: "read", y: "write" },
  params: { count: "u32", sharpness: "f32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});

/**
 * Gradient of `softsign`: dx = dy s / (1 + |s x|)^2.
 *
 * dy, x, dx: [count] f32.
 */
export const softsignBackwardKernel = defineKernel({
  name: "softsign-backward",
  shader: new URL("softsign-backward.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", dx: "write" },
  params: { count: "u32", sharpness: "f32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
