import { scalar } from "../graph/extent.ts";
import { Graph } from "../graph/graph.ts";
import { GrowingPlan } from "../graph/plan/growing-plan.ts";
import type { Model } from "../model/model.ts";
import type { Features } from "../network/decoder/packed-decoder.ts";
import { tokenLogProbs, trainingGraph, type LossTrace } from "../network/decoder/training.ts";
import { Scope, type Weights } from "../network/scope.ts";

/** Variants of a training pass. */
export interface PassOptions {
  /** Media features to splice; the towers are part of the pass when left out. */
  features?: ((graph: Graph) => Features) | undefined;
  /** Computes the inside of decoder layers again in backward instead of keeping it. */
  gradientCheckpointing?: boolean;
}

/** Divides the logits of a pass by the temperature of the rollout. */
const inverseTemperature = scalar("inverseTemperature");

/**
 * Returns the training pass of a model: packed trees forward, a loss per token, backward into
 * gradients.
 *
 * Replay scalar `inverseTemperature`. Keeps what {@link trainingGraph} keeps.
 */
export function trainingPass(
  model: Model,
  label: string,
  loss: LossTrace,
  { features, gradientCheckpointing = false }: PassOptions = {},
): GrowingPlan {
  return new GrowingPlan(model.device, label, () => {
    const graph = new Graph();
    trainingGraph(model.scope(graph), model.config, loss, {
      ...{ features: features?.(graph), inverseTemperature, recomputes: gradientCheckpointing },
    });
    return graph;
  });
}

/**
 * Returns a forward pass alone: log-probabilities of given completions under a model's weights, or
 * others.
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
    const scope = new Scope(graph, weights);
    graph.keep("logProbs", tokenLogProbs(scope, model.config, { inverseTemperature }).out);
    return graph;
  });
}
