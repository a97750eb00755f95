import { differentiate } from "../graph/differentiate.ts";
import { type Extent, scalar } from "../graph/extent.ts";
import { Graph, type Tensor } from "../graph/graph.ts";
import { GrowingPlan } from "../graph/growing-plan.ts";
import { logProb } from "../graph/ops/head.ts";
import { columnSum } from "../graph/ops/reduce.ts";
import { recompute } from "../graph/recompute.ts";
import type { Model } from "../model/model.ts";
import type { Weights } from "../network/scope.ts";
import type { Features } from "../network/decoder/packed-decoder.ts";

/** Traces a loss over the log-probabilities of predicted tokens: [rows, 2] gradient, and its terms. */
export type LossTrace = (
  graph: Graph,
  out: Tensor,
  rows: Extent,
) => { gradient: Tensor; terms?: Tensor };

/** What a training pass may do without or add. */
export interface PassOptions {
  /** Media features to splice; the towers are part of the pass when left out. */
  features?: ((graph: Graph) => Features) | undefined;
  /** Computes the inside of decoder layers again in backward instead of keeping it. */
  gradientCheckpointing?: boolean;
}

/**
 * The training pass of a model: packed trees forward, a loss per token, backward into gradients.
 *
 * Replay scalar `inverseTemperature`. Keeps `logProbs` [lossRows, 3] and, where the loss has terms,
 * their sums as `terms`.
 */
export function trainingPass(
  model: Model,
  label: string,
  loss: LossTrace,
  options: PassOptions = {},
): GrowingPlan {
  return new GrowingPlan(model.device, label, () => {
    const graph = new Graph();
    const { rows, target, head } = model.predictedRows(graph, options.features?.(graph));
    const out = logProb(graph, rows, head, target, scalar("inverseTemperature"));
    const { gradient, terms } = loss(graph, out, rows.rows as Extent);
    graph.keep("logProbs", out);
    if (terms !== undefined) graph.keep("terms", columnSum(graph, terms));
    const backward = graph.nodes.length;
    differentiate(graph, [[out, gradient]]);
    if (options.gradientCheckpointing === true) {
      const layers = Array.from({ length: model.config.text.layers }, (_, i) => `hidden.${i}`);
      const boundaries = ["embeddings", ...layers].map((name) => graph.annotations.get(name)!);
      recompute(graph, { boundaries, backward });
    }
    return graph;
  });
}

/**
 * A forward pass alone: log-probabilities of given completions under a model's weights, or others.
 *
 * Keeps `logProbs` [lossRows, 3]. Replay scalar `inverseTemperature`.
 */
export function scoringPass(
  model: Model,
  label: string,
  weights: Weights = model.weights,
): GrowingPlan {
  return new GrowingPlan(model.device, label, () => {
    const graph = new Graph();
    const { rows, target, head } = model.predictedRows(graph, undefined, weights);
    graph.keep("logProbs", logProb(graph, rows, head, target, scalar("inverseTemperature")));
    return graph;
  });
}
