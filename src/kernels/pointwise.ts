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
