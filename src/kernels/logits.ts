import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Softmax statistics of rows of logits over one tile of the vocabulary, merged with earlier tiles.
 *
 * logits: [rows, cols], the tokens from `first`; targets: u32 [rows]; running: [rows, 4] =
 * (max, sum exp(z - max), sum (z - max) exp(z - max), target z) with z = logit * invTemperature.
 * reset 1 = first tile (running need not be initialised). A target outside all tiles is never seen.
 */
export const logitStatsKernel = defineKernel({
  name: "logit-stats",
  shader: new URL("../../shaders/logit-stats.wgsl", import.meta.url),
  buffers: { logits: "read", targets: "read", running: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", invTemperature: "f32", reset: "u32" },
  tunables: { WG: [64, 8, 128, 256] },
  grid: ({ rows }) => grid1d(rows),
});

/**
 * Log-probability, log-sum-exp and entropy from the running statistics of `logitStatsKernel`.
 *
 * running: [rows, 4]; out: [rows, 3] = (log p of the target, log-sum-exp, entropy), of
 * softmax(logits * invTemperature).
 */
export const logitFinishKernel = defineKernel({
  name: "logit-finish",
  shader: new URL("../../shaders/logit-finish.wgsl", import.meta.url),
  buffers: { running: "read", out: "write" },
  params: { rows: "u32" },
  tunables: { WG: [64] },
  grid: ({ rows }, consts) => grid1d(Math.ceil(rows / Number(consts["WG"]))),
});

/**
 * Turns a tile of logits into its gradient, in place.
 *
 * logits: [rows, cols], the tokens from `first`; targets: u32 [rows]; out: [rows, 3] of
 * `logitFinishKernel`; grad: [rows, 2] = (dL/dlogp, dL/dentropy).
 */
export const logitBackwardKernel = defineKernel({
  name: "logit-backward",
  shader: new URL("../../shaders/logit-backward.wgsl", import.meta.url),
  buffers: { logits: "update", targets: "read", out: "read", grad: "read" },
  params: { rows: "u32", cols: "u32", first: "u32", invTemperature: "f32" },
  tunables: { WG: [64, 8, 128], PER: [8, 64] },
  grid: ({ rows, cols }, consts) =>
    grid1d(rows * Math.ceil(cols / (Number(consts["WG"]) * Number(consts["PER"])))),
});

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
