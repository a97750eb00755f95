import { differentiate } from "../../ops/differentiate.ts";
import type { Extent, Value } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { logProb } from "../../ops/head.ts";
import { nllLoss } from "../../ops/loss.ts";
import { columnSum } from "../../ops/reduce.ts";
import { recompute } from "../../graph/recompute.ts";
import type { ModelConfig } from "../config.ts";
import type { Scope } from "../scope.ts";
import { lossExtent, lossRows, packedDecoder, towers, type Features } from "./packed-decoder.ts";

/*
 * The graph that trains a model, for every kind of training:
 *
 *   token ids ---- embeddings <---- features <---- towers <---- pictures and sound
 *                      |
 *               decoder layers       over packed trees: a prompt once, its completions as branches
 *                      |
 *               hidden states  ----  the rows of which the next token is a completion's
 *                      |
 *              log-probabilities     [rows, 3], tile by tile of the vocabulary
 *                      |
 *                   a loss           [rows, 2]: derivative by log-probability and by entropy
 *                      |
 *              gradients, backwards through all of it
 *
 * Supervised training, policy gradients, and comparisons with other implementations differ in the
 * loss and in what they read; the rest is here.
 */

/** Traces a loss over the log-probabilities of predicted tokens: [rows, 2] gradient, and its terms. */
export type LossTrace = (
  graph: Graph,
  out: Tensor,
  rows: Extent,
) => { gradient: Tensor; terms?: Tensor };

/** Traces the negative log-likelihood, weighted per row by the input `loss.weight`. */
export const weightedNll: LossTrace = (graph, out, rows) =>
  nllLoss(graph, out, graph.input("loss.weight", rows, 1));

/** Variants of the forward pass. */
export interface ForwardOptions {
  /** Media features that were computed before; the towers are traced when left out. */
  features?: Features | undefined;
  /** Multiplies the logits. Default 1. */
  inverseTemperature?: Value;
}

/** Tensors of a traced forward pass. */
export interface Forward {
  features: Features;
  /** [tokens, hiddenSize] hidden states behind the final norm. */
  hidden: Tensor;
  /** [lossRows, 3] log-probability, log-sum-exp and entropy of every predicted token. */
  out: Tensor;
}

/** Traces packed trees up to the log-probabilities of their completion tokens. */
export function tokenLogProbs(
  scope: Scope,
  config: ModelConfig,
  { features = towers(scope, config), inverseTemperature }: ForwardOptions = {},
): Forward {
  const hidden = packedDecoder(scope, config, features);
  const { rows, target } = lossRows(scope.graph, config, hidden);
  const head = scope.weight("lm_head.weight");
  return { features, hidden, out: logProb(scope.graph, rows, head, target, inverseTemperature) };
}

/**
 * Traces a whole training pass: forward, loss, and backward into the gradients of the weights.
 *
 * Keeps `logProbs` [lossRows, 3] and, where the loss has terms, their sums as `terms` [1, terms].
 *
 * @param options.recomputes whether the inside of decoder layers is computed again in backward
 *   instead of kept; gradients are the same bits.
 */
export function trainingGraph(
  scope: Scope,
  config: ModelConfig,
  loss: LossTrace,
  { recomputes = false, ...options }: ForwardOptions & { recomputes?: boolean } = {},
): Forward {
  const { graph } = scope;
  const forward = tokenLogProbs(scope, config, options);
  const { gradient, terms } = loss(graph, forward.out, lossExtent(config));
  graph.keep("logProbs", forward.out);
  if (terms !== undefined) graph.keep("terms", columnSum(graph, terms));
  const backward = graph.nodes.length;
  differentiate(graph, [[forward.out, gradient]]);
  if (recomputes) {
    const layers = Array.from({ length: config.text.layers }, (_, i) => `hidden.${i}`);
    const boundaries = ["embeddings", ...layers].map((name) => graph.annotations.get(name)!);
    recompute(graph, { boundaries, backward });
  }
  return forward;
}
