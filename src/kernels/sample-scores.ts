import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * First kernel of the sampler: statistics of the full softmax, and the scores to sample from.
 *
 * logits, scores: [rows, vocab]; info: u32 [rows, 4] = (sample id, completion, draw, flags; flag 1 =
 * greedy); bans: u32 [ceil(vocab / 32)] bits; presence: u32 [rows, ceil(vocab / 32)] bits of the
 * prompt's and completion's tokens; done: u32 [rows]; stats: [rows, 8] for `sampleDrawKernel`.
 * The numbers among the parameters come from `sampleParams`.
 */
export const sampleScoresKernel = defineKernel({
  name: "sample-scores",
  shader: new URL("../../shaders/sample-scores.wgsl", import.meta.url),
  buffers: {
    logits: "read",
    info: "read",
    bans: "read",
    presence: "read",
    done: "read",
    scores: "write",
    stats: "write",
  },
  params: {
    rows: "u32",
    vocab: "u32",
    invTemperature: "f32",
    positiveFactor: "f32",
    negativeFactor: "f32",
    greedyPenalty: "f32",
    greedyInverse: "f32",
  },
  tunables: { WG: [64, 8, 256] },
  grid: ({ rows }) => grid1d(rows),
});
