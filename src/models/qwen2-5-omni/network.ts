import { Extent } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { embed, gatherRows, type Splice } from "../../graph/ops/rows.ts";
import type { Storage } from "../../graph/storage.ts";
import type { Scope } from "../../nn/scope.ts";
import { segmentInputs } from "../../nn/segments.ts";
import { audioExtents, audioInputs, audioTower } from "./audio.ts";
import type { OmniConfig } from "./config.ts";
import { decoder, textRowBytes, treeAttention, type LayerCache } from "./text.ts";
import { visionCells, visionInputs, visionTower } from "./vision.ts";

/** Feature rows of both towers. */
export interface Features {
  /** [cells, hiddenSize] f32. */
  vision: Tensor;
  /** [audioFeatures, hiddenSize] f32. */
  audio: Tensor;
}

/** The extent of packed tokens. */
export function tokenExtent(config: OmniConfig): Extent {
  return new Extent("tokens", textRowBytes(config.text));
}

/** Both towers, with their inputs declared; features go to the storages of `into` when given. */
export function towers(scope: Scope, config: OmniConfig, into?: Features): Features {
  const { graph } = scope;
  const vision = visionInputs(graph, config.vision);
  const audio = audioInputs(graph, config.audio);
  return {
    vision: visionTower(scope, config.vision, vision, into?.vision),
    audio: audioTower(scope, config.audio, audio, into?.audio),
  };
}

/** Feature storages as tensors, for passes that take features computed before. */
export function storedFeatures(
  graph: Graph,
  config: OmniConfig,
  { vision, audio }: { vision: Storage; audio: Storage },
): Features {
  return {
    vision: graph.stored(vision, visionCells(config.vision)),
    audio: graph.stored(audio, audioExtents(config.audio).features),
  };
}

/**
 * The decoder over packed trees: embeddings with spliced features, layers, final norm.
 *
 * Returns hidden states [tokens, hiddenSize] f32. Keys and values go to `caches` when given.
 */
export function packedDecoder(
  scope: Scope,
  config: OmniConfig,
  features: Features,
  caches?: readonly LayerCache[],
): Tensor {
  const { graph } = scope;
  const tokens = tokenExtent(config);
  const splice = (name: string, rows: Tensor): Splice => ({
    features: rows,
    source: graph.input(`text.${name}Source`, tokens, 1, "u32"),
    destination: graph.input(`text.${name}Rows`, rows.rows, 1, "u32"),
  });
  const table = scope.weight("model.embed_tokens.weight");
  const x = embed(
    graph,
    table,
    graph.input("text.ids", tokens, 1, "u32"),
    [splice("vision", features.vision), splice("audio", features.audio)],
    table.parameter?.gradient && {
      // Any row may follow any other: an extent of narrow rows, so that the list stays in one chunk.
      order: graph.input("text.buckets.order", new Extent("tokens", 4), 1, "u32"),
      start: graph.input("text.buckets.start", new Extent("bucketEnds", 4), 1, "u32"),
      token: graph.input("text.buckets.token", new Extent("buckets", 4), 1, "u32"),
    },
  );
  graph.annotate("embeddings", x);
  const inputs = {
    table: graph.input("text.table", tokens, config.text.headDim),
    segments: segmentInputs(graph, "text", tokens),
    tokens,
  };
  return decoder(scope, config.text, x, treeAttention(graph, config.text, inputs, caches));
}

/** The extent of loss rows: completion tokens whose log-probability is wanted. */
export function lossExtent(config: OmniConfig): Extent {
  return new Extent("lossRows", 4 * Math.max(config.text.hiddenSize, 16));
}

/** Hidden states of the rows that predict completion tokens, and the tokens themselves. */
export function lossRows(
  graph: Graph,
  config: OmniConfig,
  hidden: Tensor,
): { rows: Tensor; target: Tensor } {
  const extent = lossExtent(config);
  const index = graph.input("loss.index", extent, 1, "u32");
  const rows = gatherRows(graph, hidden, index, {
    order: graph.input("loss.order", new Extent("lossRows", 4), 1, "u32"),
    start: graph.input("loss.start", new Extent("tokenEnds", 4), 1, "u32"),
  });
  return { rows, target: graph.input("loss.target", extent, 1, "u32") };
}
