import { sampleCommitKernel, sampleDrawKernel, sampleScoresKernel } from "../kernels/sample.ts";
import { scalar } from "../graph/extent.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { wholeRows } from "./decode.ts";
import { at } from "./rowwise.ts";

/** The sampler's buffers; all outlive a step. */
export interface SamplerState {
  /** [rows, 4] u32: sample id, completion, draw, flags (1 = greedy). */
  info: Tensor;
  /** [1, words] u32 bits of tokens that must not be emitted. */
  bans: Tensor;
  /** [rows, words] u32 bits of tokens that occur in the prompt or completion. */
  presence: Tensor;
  /** [1, 1] u32 step. */
  state: Tensor;
  /** [rows, 1] u32: 0 running, 1 ended, 2 all tokens banned, 3 logits not finite. */
  done: Tensor;
  /** [rows, 1] u32 tokens written, the end token included. */
  lengths: Tensor;
  /** [ids, 1] u32 tokens that end a completion. */
  eos: Tensor;
  /** [rows, capacity] u32. */
  tokens: Tensor;
  /** [rows, capacity * 4] f32: log-probability, sampling log-probability, entropy, banned mass. */
  logps: Tensor;
}

/** The outputs of the sampler besides the state that it changes. */
type SampleOutputs = Tensors<"next" | "scores" | "stats" | "choice">;

type SampleInputs = Tensors<"logits"> & Pick<SamplerState, "info" | "bans" | "eos">;
type SampleState = Omit<SamplerState, "info" | "bans" | "eos">;

const sampleOp: Op<SampleInputs, SampleOutputs & SampleState> = {
  name: "sample",
  lower({ logits, info, bans, eos }, outputs, to) {
    const { next, scores, stats, choice, presence, done, lengths, tokens, logps, state } = outputs;
    const rows = wholeRows(to, logits);
    const vocab = logits.width;
    to.dispatch({
      kernel: sampleScoresKernel,
      buffers: {
        logits: at(logits, 0),
        info: at(info, 0),
        bans: at(bans, 0),
        presence: at(presence, 0),
        done: at(done, 0),
        scores: at(scores, 0),
        stats: at(stats, 0),
      },
      params: {
        rows,
        vocab,
        invTemperature: scalar("invTemperature"),
        positiveFactor: scalar("positiveFactor"),
        negativeFactor: scalar("negativeFactor"),
        greedyPenalty: scalar("greedyPenalty"),
        greedyInverse: scalar("greedyInverse"),
      },
    });
    to.dispatch({
      kernel: sampleDrawKernel,
      buffers: {
        logits: at(logits, 0),
        scores: at(scores, 0),
        stats: at(stats, 0),
        info: at(info, 0),
        state: at(state, 0),
        done: at(done, 0),
        next: at(next, 0),
        choice: at(choice, 0),
      },
      params: {
        rows,
        vocab,
        seed: scalar("seed"),
        topK: scalar("topK"),
        topP: scalar("topP"),
        minWeight: scalar("minWeight"),
        pad: scalar("pad"),
      },
    });
    to.dispatch({
      kernel: sampleCommitKernel,
      buffers: {
        choice: at(choice, 0),
        state: at(state, 0),
        eos: at(eos, 0),
        presence: at(presence, 0),
        done: at(done, 0),
        lengths: at(lengths, 0),
        tokens: at(tokens, 0),
        logps: at(logps, 0),
      },
      params: { rows, vocab, capacity: tokens.width, eosCount: eos.rows },
    });
  },
};

/**
 * Chooses one token per row and records it; returns the tokens [rows, 1] u32 to be embedded.
 *
 * Replay scalars: those of `sampleParams`, `seed` and `pad`.
 */
export function sampleTokens(graph: Graph, logits: Tensor, sampler: SamplerState): Tensor {
  const { info, bans, eos, presence, done, lengths, tokens, logps, state } = sampler;
  const next = graph.value("next", logits.rows, 1, "u32");
  const scores = graph.value("scores", logits.rows, logits.width);
  const stats = graph.value("sample-stats", logits.rows, 8);
  const choice = graph.value("choice", logits.rows, 8, "u32");
  graph.add(
    sampleOp,
    { logits, info, bans, eos },
    { next, scores, stats, choice, presence, done, lengths, tokens, logps, state },
  );
  return next;
}
