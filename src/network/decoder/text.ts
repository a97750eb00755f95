import { Extent } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { attention, type AttentionSegments } from "../../ops/attention.ts";
import { rope } from "../../ops/rope.ts";
import type { Storage } from "../../graph/storage.ts";
import { gatedMlp, linearLayer, rmsNormLayer } from "../layers.ts";
import type { Scope } from "../scope.ts";
import type { TextConfig } from "../config.ts";

/** Keys and values of one layer. */
export interface LayerCache {
  k: Storage;
  v: Storage;
}

/** How the decoder's layers reach other tokens: packed trees, or a cache one token at a time. */
export interface Attend {
  /** Rotates queries or keys by their positions; `into` sends the result to a cache. */
  rotate(x: Tensor, into?: Tensor): Tensor;
  /** Attention of one layer. */
  mix(layer: number, q: Tensor, k: Tensor, v: Tensor): Tensor;
  /** Returns the place where a layer's keys and values are kept, if they are. */
  cache?(layer: number): { k: Tensor; v: Tensor };
}

/** Returns the widest row that any tensor over tokens has, in bytes. */
export function textRowBytes(config: TextConfig): number {
  const { hiddenSize, intermediateSize, heads, headDim } = config;
  return 4 * Math.max(hiddenSize, intermediateSize, heads * headDim);
}

/**
 * Returns the decoder over embedded tokens: pre-norm layers, then the final norm.
 *
 * x: [tokens, hiddenSize] f32, residual stream in f32. Returns the normed hidden states.
 *
 * @param behind adds deep features to what a layer gives out.
 * Source: transformers 4.57.6 `Qwen2_5OmniThinkerTextModel`, `Qwen3VLTextModel`.
 */
export function decoder(
  scope: Scope,
  config: TextConfig,
  x: Tensor,
  attend: Attend,
  behind: (layer: number, hidden: Tensor) => Tensor = (_layer, hidden) => hidden,
): Tensor {
  const { graph } = scope;
  let hidden = x;
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `model.layers.${layer}`;
    const n = rmsNormLayer(scope, `${name}.input_layernorm`, hidden, config.rmsNormEps);
    const cache = attend.cache?.(layer);
    const q = attend.rotate(heads(scope, config, `${name}.self_attn.q`, n));
    const k = attend.rotate(heads(scope, config, `${name}.self_attn.k`, n), cache?.k);
    const v = linearLayer(scope, `${name}.self_attn.v_proj`, n, { into: cache?.v });
    const mixed = attend.mix(layer, q, k, v);
    const attended = linearLayer(scope, `${name}.self_attn.o_proj`, mixed, { residual: hidden });
    const m = rmsNormLayer(scope, `${name}.post_attention_layernorm`, attended, config.rmsNormEps);
    hidden = behind(layer, gatedMlp(scope, `${name}.mlp`, m, attended));
    graph.annotate(`hidden.${layer}`, hidden);
  }
  return rmsNormLayer(scope, "model.norm", hidden, config.rmsNormEps);
}

/** Queries or keys before they are rotated: [tokens, heads * headDim], each head normed with `qkNorm`. */
function heads(scope: Scope, config: TextConfig, name: string, x: Tensor): Tensor {
  const { graph } = scope;
  const projected = linearLayer(scope, `${name}_proj`, x);
  if (!config.qkNorm) return projected;
  const each = graph.reshape(projected, config.headDim);
  return graph.reshape(
    rmsNormLayer(scope, `${name}_norm`, each, config.rmsNormEps),
    projected.width,
  );
}

/** Attention over packed prompt trees; keys and values go to `caches` when they are given. */
export function treeAttention(
  graph: Graph,
  config: TextConfig,
  inputs: { table: Tensor; segments: AttentionSegments; tokens: Extent },
  caches?: readonly LayerCache[],
): Attend {
  const layout = {
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    visible: "textPairs",
  };
  return {
    rotate: (x, into) => rope(graph, x, inputs.table, config.headDim, into),
    mix: (_layer, q, k, v) => attention(graph, { q, k, v }, inputs.segments, layout),
    ...(caches && {
      cache: (layer: number) => ({
        k: graph.stored(caches[layer]!.k, inputs.tokens),
        v: graph.stored(caches[layer]!.v, inputs.tokens),
      }),
    }),
  };
}
