import type { Tensor } from "../../graph/graph.ts";
import { linear } from "../../network/layers.ts";
import type { Scope } from "../../network/scope.ts";

/**
 * Queries, keys and values of a vision block, whose layers are stored apart.
 *
 * Source: transformers 4.57.6 `Qwen2_5OmniVisionAttention`.
 */
export function project(scope: Scope, name: string, x: Tensor) {
  return {
    q: linear(scope, `${name}.q`, x),
    k: linear(scope, `${name}.k`, x),
    v: linear(scope, `${name}.v`, x),
  };
}
