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

/** How tokens are chosen; the same words as in transformers' `GenerationConfig`. */
export interface SampleOptions {
  /** Above 0; rows whose info flag says greedy do not use it. */
  temperature: number;
  /** Keep the k highest scores (and ties of the k-th); 0 = all. */
  topK: number;
  /** Keep the highest scores until their mass reaches this; 1 = all. */
  topP: number;
  /** Drop tokens below this share of the highest probability; 0 = none. */
  minP: number;
  /** Above 1 makes tokens that are present less likely; 1 = off. */
  repetitionPenalty: number;
}

/**
 * Returns the numeric parameters of `sampleScoresKernel` and `sampleDrawKernel`, each rounded to
 * what the GPU reads: factors to f32, topP to 2^-32 (0 = off), minP to a weight in 2^-30.
 */
export function sampleParams(options: SampleOptions): {
  invTemperature: number;
  positiveFactor: number;
  negativeFactor: number;
  greedyPenalty: number;
  greedyInverse: number;
  topK: number;
  topP: number;
  minWeight: number;
} {
  const { temperature, topK, topP, minP, repetitionPenalty } = options;
  const inverse = 1 / temperature;
  return {
    invTemperature: Math.fround(inverse),
    positiveFactor: Math.fround(inverse / repetitionPenalty),
    negativeFactor: Math.fround(inverse * repetitionPenalty),
    greedyPenalty: Math.fround(repetitionPenalty),
    greedyInverse: Math.fround(1 / repetitionPenalty),
    topK,
    topP: topP >= 1 ? 0 : Math.max(1, Math.round(topP * 2 ** 32)),
    minWeight: Math.ceil(minP * 2 ** 30),
  };
}

/**
 * Second kernel of the sampler: one token per row by top-k, top-p, min-p and a Philox number.
 *
 * logits, scores: [rows, vocab]; stats: [rows, 8] of `sampleScoresKernel`; info: u32 [rows, 4];
 * state: u32, [0] = step; done: u32 [rows]; next: u32 [rows] = the token, `pad` for a row that is
 * done or could not choose; choice: u32 [rows, 8] for `sampleCommitKernel`. The choice is exact
 * integer arithmetic on the scores and equals `sampleToken` of src/reference/sampler.ts.
 */
export const sampleDrawKernel = defineKernel({
  name: "sample-draw",
  shader: new URL("../../shaders/sample-draw.wgsl", import.meta.url),
  buffers: {
    logits: "read",
    scores: "read",
    stats: "read",
    info: "read",
    state: "read",
    done: "read",
    next: "write",
    choice: "write",
  },
  params: {
    rows: "u32",
    vocab: "u32",
    seed: "u32",
    topK: "u32",
    topP: "u32",
    minWeight: "u32",
    pad: "u32",
  },
  tunables: { WG: [64, 8, 256] },
  grid: ({ rows }) => grid1d(rows),
});

/**
 * Third kernel of the sampler: records each row's choice at the current step.
 *
 * choice: u32 [rows, 8] of `sampleDrawKernel`; state: u32, [0] = step; eos: u32 [eosCount];
 * presence: u32 [rows, ceil(vocab / 32)] bits, the token's is set; done: u32 [rows] = 0 running,
 * 1 ended, 2 all tokens banned, 3 logits NaN or +inf; lengths: u32 [rows], tokens with the end;
 * tokens: u32 [rows, capacity]; logps: [rows, capacity, 4] = (log p of the full softmax at the
 * temperature, log p of the distribution sampled from, entropy, banned mass).
 */
export const sampleCommitKernel = defineKernel({
  name: "sample-commit",
  shader: new URL("../../shaders/sample-commit.wgsl", import.meta.url),
  buffers: {
    choice: "read",
    state: "read",
    eos: "read",
    presence: "update",
    done: "update",
    lengths: "update",
    tokens: "update",
    logps: "update",
  },
  params: { rows: "u32", vocab: "u32", capacity: "u32", eosCount: "u32" },
  tunables: { WG: [64] },
  grid: ({ rows }, consts) => grid1d(Math.ceil(rows / Number(consts["WG"]))),
});

/** Moves the decode state one step on: state[0] += 1. Parameter `unused` is 0. */
export const advanceKernel = defineKernel({
  name: "advance",
  shader: new URL("../../shaders/advance.wgsl", import.meta.url),
  buffers: { state: "update" },
  params: { unused: "u32" },
  grid: () => [1, 1, 1],
});
