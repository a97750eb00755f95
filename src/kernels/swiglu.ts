import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * SwiGLU's pointwise part: y = gate * sigmoid(gate) * up.
 *
 * gate, up, y: [count] f32.
 */
export const swigluKernel = defineKernel({
  name: "swiglu",
  shader: new URL("../../shaders/swiglu.wgsl", import.meta.url),
  buffers: { gate: "read", up: "read", y: "write" },
  params: { count: "u32" },
  tunables: { WG: [64, 256], PER: [8, 1] },
  grid: ({ count }, { WG, PER }) => grid1d(Math.ceil(count / (Number(WG) * Number(PER)))),
});
