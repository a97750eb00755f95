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

/**
 * The norm of all gradients and the factor that clips it, as torch's `clip_grad_norm_`.
 *
 * partial: [count] sums of squares; clip: [2] = (norm, min(1, maxNorm / (norm + 1e-6))). maxNorm 0
 * gives 1; a norm that is not finite gives -1, at which `adamwKernel` skips its update.
 */
export const clipCoefficientKernel = defineKernel({
  name: "clip-coefficient",
  shader: new URL("../../shaders/clip-coefficient.wgsl", import.meta.url),
  buffers: { partial: "read", clip: "write" },
  params: { count: "u32", maxNorm: "f32" },
  tunables: { WG: [64, 256] },
  grid: () => [1, 1, 1],
});

/** The numbers that a host chooses for an AdamW step. */
export interface AdamwOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 1 for the first update. */
  step: number;
}

/**
 * Returns the numeric parameters of `adamwKernel` for a step, computed in float64 as torch does.
 */
export function adamwParams(options: AdamwOptions): {
  learningRate: number;
  complement1: number;
  complement2: number;
  eps: number;
  weightDecay: number;
  correction1: number;
  correction2: number;
} {
  const { learningRate, beta1, beta2, eps, weightDecay, step } = options;
  return {
    learningRate,
    complement1: 1 - beta1,
    complement2: 1 - beta2,
    eps,
    weightDecay,
    correction1: 1 - beta1 ** step,
    correction2: 1 - beta2 ** step,
  };
}

/**
 * One AdamW update of a parameter, as torch.optim.AdamW.
 *
 * param, grad, m, v: [count]; clip: [2] of `clipCoefficientKernel` = (norm, coefficient); a negative
 * coefficient skips the update. Parameters from `adamwParams`, whose complements are 1 - beta.
 */
export const adamwKernel = defineKernel({
  name: "adamw",
  shader: new URL("../../shaders/adamw.wgsl", import.meta.url),
  buffers: { param: "update", grad: "read", m: "update", v: "update", clip: "read" },
  params: {
    count: "u32",
    learningRate: "f32",
    complement1: "f32",
    complement2: "f32",
    eps: "f32",
    weightDecay: "f32",
    correction1: "f32",
    correction2: "f32",
  },
  tunables: { WG: [64, 256] },
  grid: ({ count }, consts) => grid1d(Math.ceil(count / Number(consts["WG"]))),
});
