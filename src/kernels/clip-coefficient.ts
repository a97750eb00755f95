import { defineKernel } from "../gpu/kernel.ts";

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
