import { splitColumns } from "../../ops/columns.ts";
import type { Tensor } from "../../graph/graph.ts";
import { linearLayer } from "../../network/layers.ts";
import type { Scope } from "../../network/scope.ts";

/**
 * Queries, keys and values of a vision block, whose layers are stored as one.
 *
 * Source: transformers 4.57.6 `Qwen2_5_VLVisionAttention`.
 */
export function project(scope: Scope, name: string, x: Tensor) {
  const fused = linearLayer(scope, `${name}.qkv`, x);
  const [q, k, v] = splitColumns(scope.graph, fused, [x.width, x.width, x.width]);
  return { q: q!, k: k!, v: v! };
}
