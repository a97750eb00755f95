import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Gradients of `swiglu`: dup = dy * silu(gate), dgate = dy * up * silu'(gate).
 *
 * All buffers: [count] f32.
 */
export const swigluBackwardKernel = defineKernel({
  name: "swiglu-backward",
  shader: new URL("../../shaders/swiglu-backward.wgsl", import.meta.url),
  buffers: { dy: "read", gate: "read", up: "read", dgate: "write", dup: "write" },
  params: { count: "u32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
