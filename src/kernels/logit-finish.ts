import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
