import { CheckpointError } from "../core/errors.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import { fetched, type HostMatrix } from "../ops/host.ts";
import type { Parameter } from "../graph/storage.ts";

/** A low-rank adapter of one linear layer (Hu et al. 2021): W x + scale * B A x. */
export interface Adapter {
  a: Parameter;
  b: Parameter;
  /** alpha / r, or alpha / sqrt(r) for rank-stabilised adapters. */
  scale: number;
  /** True when the scale is alpha / sqrt(r) (rsLoRA), which a saved adapter says of itself. */
  rslora: boolean;
}

/** A weight where it lies: on the GPU, or on the host, from where each pass fetches it anew. */
export type PlacedWeight = Parameter | HostMatrix;

/** The weights of a model by canonical checkpoint name. */
export interface Weights {
  parameters: ReadonlyMap<string, PlacedWeight>;
  /** Adapters by the name of the linear layer, without `.weight`. */
  adapters: ReadonlyMap<string, Adapter>;
}

/** A graph under construction and the weights that its layers name. */
export class Scope {
  readonly graph: Graph;
  readonly weights: Weights;

  constructor(graph: Graph, weights: Weights) {
    this.graph = graph;
    this.weights = weights;
  }

  /** The tensor of a weight that must exist. */
  weight(name: string): Tensor {
    const placed = this.weights.parameters.get(name);
    if (placed === undefined) {
      throw new CheckpointError("missing-tensor", `the model has no weight ${name}.`);
    }
    return "value" in placed ? this.graph.parameter(placed) : fetched(this.graph, placed);
  }

  /** The tensor of a weight that a model may lack, such as a bias. */
  optional(name: string): Tensor | undefined {
    return this.weights.parameters.has(name) ? this.weight(name) : undefined;
  }
}
