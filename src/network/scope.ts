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

/** The weights of a model by canonical checkpoint name. */
export interface Weights {
  parameters: ReadonlyMap<string, Parameter>;
  /** Adapters by the name of the linear layer, without `.weight`. */
  adapters: ReadonlyMap<string, Adapter>;
  /** Weights that the host keeps and brings to the GPU where a pass needs them; they cannot train. */
  onHost?: ReadonlyMap<string, HostMatrix>;
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
    const kept = this.weights.onHost?.get(name);
    if (kept !== undefined) return fetched(this.graph, kept);
    const parameter = this.weights.parameters.get(name);
    if (parameter === undefined) {
      throw new CheckpointError("missing-tensor", `the model has no weight ${name}.`);
    }
    return this.graph.parameter(parameter);
  }

  /** The tensor of a weight that a model may lack, such as a bias. */
  optional(name: string): Tensor | undefined {
    const { parameters, onHost } = this.weights;
    return parameters.has(name) || onHost?.has(name) ? this.weight(name) : undefined;
  }
}
