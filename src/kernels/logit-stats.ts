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
