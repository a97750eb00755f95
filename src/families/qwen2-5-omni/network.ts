import type { Tensor } from "../../graph/graph.ts";
import { linearLayer } from "../../network/layers.ts";
import type { Scope } from "../../network/scope.ts";

/**
 * Queries, keys and values of a vision block, whose layers are stored apart.
 *
 * Source: transformers 4.57.6 `Qwen2_5OmniVisionAttention`.
 */
export function project(scope: Scope, name: string, x: Tensor) {
  return {
    q: linearLayer(scope, `${name}.q`, x),
    k: linearLayer(scope, `${name}.k`, x),
    v: linearLayer(scope, `${name}.v`, x),
  };
}
