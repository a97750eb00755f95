import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Negative log-likelihood per token and its gradient.
 *
 * out: [rows, 3] of `logitFinishKernel`; weight: [rows], 0 = masked; grad: [rows, 2] =
 * (dL/dlogp, 0); terms: [rows, 2] = (weight * -logp, 1 unless masked).
 */
export const nllLossKernel = defineKernel({
  name: "nll-loss",
  shader: new URL("../../shaders/nll-loss.wgsl", import.meta.url),
  buffers: { out: "read", weight: "read", grad: "write", terms: "write" },
  params: { rows: "u32" },
  tunables: { WG: [64] },
  grid: ({ rows }, consts) => grid1d(Math.ceil(rows / Number(consts["WG"]))),
});
