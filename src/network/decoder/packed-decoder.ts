import { Extent } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { add } from "../../ops/add.ts";
import { embed, type Splice } from "../../ops/embed.ts";
import { gatherRows, permuteRows } from "../../ops/rows.ts";
import type { Storage } from "../../graph/storage.ts";
import type { Scope } from "../scope.ts";
import { segmentInputs } from "../segments.ts";
import type { ModelConfig } from "../config.ts";
import { decoder, textRowBytes, treeAttention, type LayerCache } from "./text.ts";

/** Feature rows of the towers that a model has. */
export interface Features {
  /** [cells, hiddenSize] f32. */
  vision?: Tensor | undefined;
  /** [audioFeatures, hiddenSize] f32. */
  audio?: Tensor | undefined;
  /** Rows that are added to the output of decoder layers 0, 1, ...; absent where no tower makes any. */
  deep?: TowerOutputs;
}

/** The outputs of each tower, see {@link Tower.trace}. */
type TowerOutputs = Partial<Record<"vision" | "audio", readonly Tensor[]>>;

function featuresOf({
  vision: [vision, ...seen] = [],
  audio: [audio, ...heard] = [],
}: TowerOutputs) {
  const features: Features = { vision, audio };
  return seen.length + heard.length === 0
    ? features
    : { ...features, deep: { vision: seen, audio: heard } };
}

/** Returns all tensors of one tower. */
function outputsOf(features: Features, name: "vision" | "audio"): readonly Tensor[] {
  const first = features[name];
  return first === undefined ? [] : [first, ...(features.deep?.[name] ?? [])];
}

/** Returns the extent of packed tokens. */
export function tokenExtent(config: ModelConfig): Extent {
  return new Extent("tokens", textRowBytes(config.text));
}

/**
 * Returns the model's towers, with their inputs declared; features go to the storages of `into`
 * when given.
 */
export function towers(scope: Scope, config: ModelConfig, into: Features = {}): Features {
  const { vision, audio } = config;
  return featuresOf({
    ...(vision && { vision: vision.trace(scope, outputsOf(into, "vision")) }),
    ...(audio && { audio: audio.trace(scope, outputsOf(into, "audio")) }),
  });
}

/** Storages of features that were computed before; absent where a model has no such tower. */
export type FeatureStorages = Partial<Record<keyof TowerOutputs, readonly Storage[] | undefined>>;

/** Feature storages as tensors, for passes that take features computed before. */
export function storedFeatures(
  graph: Graph,
  config: ModelConfig,
  { vision, audio }: FeatureStorages,
): Features {
  return featuresOf({
    ...(vision && { vision: vision.map((each) => graph.stored(each, config.vision!.rows)) }),
    ...(audio && { audio: audio.map((each) => graph.stored(each, config.audio!.rows)) }),
  });
}

/**
 * Returns the decoder over packed trees: embeddings with spliced features, layers, final norm.
 *
 * Returns hidden states [tokens, hiddenSize] f32. Keys and values go to `caches` when given.
 */
export function packedDecoder(
  scope: Scope,
  config: ModelConfig,
  features: Features,
  caches?: readonly LayerCache[],
): Tensor {
  const { graph } = scope;
  const tokens = tokenExtent(config);
  const splices: Splice[] = [];
  /** The features that are added to the output of each decoder layer. */
  const deep: Splice[][] = [];
  for (const name of ["vision", "audio"] as const) {
    const [first, ...others] = outputsOf(features, name);
    if (first === undefined) continue;
    const source = graph.input(`text.${name}Source`, tokens, 1, "u32");
    const destination = graph.input(`text.${name}Rows`, first.rows, 1, "u32");
    splices.push({ features: first, source, destination });
    others.forEach((rows, layer) => {
      (deep[layer] ??= []).push({ features: rows, source, destination });
    });
  }
  const table = scope.weight("model.embed_tokens.weight");
  const x = embed(
    graph,
    table,
    graph.input("text.ids", tokens, 1, "u32"),
    splices,
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
  const attend = treeAttention(graph, config.text, inputs, caches);
  return decoder(scope, config.text, x, attend, (layer, hidden) =>
    (deep[layer] ?? []).reduce(
      (sum, { features: rows, source, destination }) =>
        add(graph, sum, permuteRows(graph, rows, source, destination)),
      hidden,
    ),
  );
}

/** Returns the extent of loss rows: completion tokens whose log-probability is wanted. */
export function lossExtent(config: ModelConfig): Extent {
  return new Extent("lossRows", 4 * Math.max(config.text.hiddenSize, 16));
}

/** Hidden states of the rows that predict completion tokens, and the tokens themselves. */
export function lossRows(
  graph: Graph,
  config: ModelConfig,
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
