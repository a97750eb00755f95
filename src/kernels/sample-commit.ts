import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
