import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * GRPO's clipped policy loss with KL and entropy terms, per token, and its gradient.
 *
 * out: [rows, 3] of `logitFinishKernel`; oldLogp, refLogp, advantage, weight: [rows], weight 0 =
 * masked, otherwise the token's share of the step's loss; grad: [rows, 2] = (dL/dlogp, dL/dentropy);
 * terms: [rows, 8] = (weight * loss, 1, k3, ratio, clipped low, clipped high, entropy,
 * |logp - old|), all 0 where masked. refLogp is only a metric when beta is 0.
 */
export const policyLossKernel = defineKernel({
  name: "policy-loss",
  shader: new URL("../../shaders/policy-loss.wgsl", import.meta.url),
  buffers: {
    out: "read",
    oldLogp: "read",
    refLogp: "read",
    advantage: "read",
    weight: "read",
    grad: "write",
    terms: "write",
  },
  params: {
    rows: "u32",
    epsilonLow: "f32",
    epsilonHigh: "f32",
    beta: "f32",
    entropyCoef: "f32",
  },
  tunables: { WG: [64] },
  grid: ({ rows }, consts) => grid1d(Math.ceil(rows / Number(consts["WG"]))),
});
