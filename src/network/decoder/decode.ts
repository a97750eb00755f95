import type { Device } from "../../gpu/device.ts";
import { Extent } from "../../graph/extent.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { advance, decodeAttention } from "../../ops/decode.ts";
import { linear as product } from "../../ops/linear.ts";
import { ropeDecode } from "../../ops/rope.ts";
import { embed } from "../../ops/embed.ts";
import { gatherRows } from "../../ops/rows.ts";
import { sampleTokens } from "../../ops/sample.ts";
import { Storage } from "../../graph/storage.ts";
import { Scope, type Weights } from "../scope.ts";
import type { ModelConfig } from "../config.ts";
import type { Tower } from "../tower.ts";
import { packedDecoder, storedFeatures, towers } from "./packed-decoder.ts";
import { decoder, textRowBytes, type Attend, type LayerCache } from "./text.ts";

/** How much a set of generation buffers holds. */
export interface DecodeSizes {
  /** Prompt tokens of a batch. */
  tokens: number;
  /** Vision and audio feature rows of a batch. */
  cells: number;
  audioFeatures: number;
  /** Completions of a batch. */
  rows: number;
  /** Tokens of a completion. */
  capacity: number;
  /** Rotary positions that decoding can reach. */
  positions: number;
}

/** The most that a batch may have: a decode step takes each of its buffers in one binding. */
export type DecodeLimits = Pick<DecodeSizes, "tokens" | "rows" | "capacity" | "positions">;

/**
 * Returns the limits of generation for completions of `capacity` tokens.
 *
 * `rows` is 0 where not even one such completion fits; `capacity` is what one alone may have.
 */
export function decodeLimits(
  config: ModelConfig,
  chunkBytes: number,
  capacity: number,
): DecodeLimits {
  const cached = Math.floor(chunkBytes / keyBytes(config));
  const most = Math.min(cached, Math.floor(chunkBytes / RECORD_BYTES));
  const rows =
    capacity > most
      ? 0
      : Math.min(
          rowExtent(config, capacity).unitsPerChunk(chunkBytes),
          Math.floor(cached / capacity),
        );
  return {
    tokens: cachedExtent(config).unitsPerChunk(chunkBytes),
    ...{ rows, capacity: most },
    positions: Math.floor(chunkBytes / (4 * config.text.headDim)),
  };
}

/** Every buffer that outlives a step of generation. */
export class DecodeBuffers {
  readonly sizes: DecodeSizes;
  /**
   * The outputs of each tower, see {@link Tower.trace}; absent where the model has no such tower.
   */
  readonly vision: readonly Storage[] | undefined;
  readonly audio: readonly Storage[] | undefined;
  readonly prefix: LayerCache[];
  readonly suffix: LayerCache[];
  readonly logits: Storage;
  /** [positions, headDim] rotary table over plain positions. */
  readonly rotary: Storage;
  /** [rows, 2] prompt rows in the prefix cache; [rows, 1] first position. */
  readonly prefixRange: Storage;
  readonly base: Storage;
  readonly state: Storage;
  readonly info: Storage;
  readonly bans: Storage;
  readonly presence: Storage;
  readonly done: Storage;
  readonly lengths: Storage;
  readonly eos: Storage;
  readonly tokens: Storage;
  readonly logps: Storage;

  constructor(device: Device, config: ModelConfig, sizes: DecodeSizes, eosCount: number) {
    const { text, vision, audio } = config;
    const { tokens, cells, audioFeatures, rows, capacity, positions } = sizes;
    const { chunkBytes } = device.capabilities;
    const words = Math.ceil(text.vocabSize / 32);
    const width = keyBytes(config) / 4;
    const make = (label: string, count: number, columns: number, type: "f32" | "u32" = "f32") =>
      new Storage(device, label, count, columns, { type });
    const ragged = (label: string, count: number, columns: number, extent: Extent) =>
      new Storage(device, label, count, columns, {
        rowsPerChunk: extent.unitsPerChunk(chunkBytes),
      });
    const layers = Array.from({ length: text.layers }, (_, layer) => layer);
    this.sizes = sizes;
    const features = (name: string, count: number, tower: Tower | undefined) =>
      tower &&
      Array.from({ length: 1 + tower.deep }, (_, i) =>
        ragged(`features.${name}${i === 0 ? "" : `.${i}`}`, count, text.hiddenSize, tower.rows),
      );
    this.vision = features("vision", cells, vision);
    this.audio = features("audio", audioFeatures, audio);
    this.prefix = layers.map((layer) => ({
      k: make(`prefix.k.${layer}`, tokens, width),
      v: make(`prefix.v.${layer}`, tokens, width),
    }));
    this.suffix = layers.map((layer) => ({
      k: make(`suffix.k.${layer}`, rows * capacity, width),
      v: make(`suffix.v.${layer}`, rows * capacity, width),
    }));
    this.logits = make("logits", rows, text.vocabSize);
    this.rotary = make("rotary", positions, text.headDim);
    this.prefixRange = make("prefix.range", rows, 2, "u32");
    this.base = make("base", rows, 1, "u32");
    this.state = make("state", 1, 1, "u32");
    this.info = make("info", rows, 4, "u32");
    this.bans = make("bans", 1, words, "u32");
    this.presence = make("presence", rows, words, "u32");
    this.done = make("done", rows, 1, "u32");
    this.lengths = make("lengths", rows, 1, "u32");
    this.eos = make("eos", eosCount, 1, "u32");
    this.tokens = make("tokens", rows, capacity, "u32");
    this.logps = make("logps", rows, capacity * 4);
  }

  /** Frees everything. */
  destroy(): void {
    const layers = [...this.prefix, ...this.suffix].flatMap(({ k, v }) => [k, v]);
    const own = Object.values(this).filter((value) => value instanceof Storage);
    const features = [...(this.vision ?? []), ...(this.audio ?? [])];
    for (const storage of [...features, ...layers, ...own]) storage.destroy();
  }
}

/** Bytes that a token of a completion takes in the sampler's record: four f32 numbers. */
const RECORD_BYTES = 16;

/** Bytes of a token's keys in one layer, and of its values. */
function keyBytes({ text }: ModelConfig): number {
  return 4 * text.kvHeads * text.headDim;
}

/** Returns the extent of completions of up to `capacity` tokens that are decoded together. */
function rowExtent({ text }: ModelConfig, capacity: number): Extent {
  const widest = [textRowBytes(text), 4 * text.vocabSize, RECORD_BYTES * capacity];
  return new Extent("rows", Math.max(...widest));
}

/**
 * Returns the extent of cached prompt tokens: narrow rows, so that far more of them lie in one
 * chunk.
 */
function cachedExtent(config: ModelConfig): Extent {
  return new Extent("tokens", keyBytes(config));
}

/** A model whose tokens are generated: what it computes, and with which weights. */
export interface DecodedModel {
  readonly config: ModelConfig;
  readonly weights: Weights;
}

/** Traces the towers into the feature storages. */
export function encodeGraph({ config, weights }: DecodedModel, buffers: DecodeBuffers): Graph {
  const graph = new Graph();
  towers(new Scope(graph, weights), config, storedFeatures(graph, config, buffers));
  return graph;
}

/**
 * Traces the prompts: keys and values into the prefix caches, logits of every completion's first
 * token into the logit storage. Input `first.index` names the prompt row of each completion.
 */
export function prefillGraph({ config, weights }: DecodedModel, buffers: DecodeBuffers): Graph {
  const graph = new Graph();
  const scope = new Scope(graph, weights);
  const features = storedFeatures(graph, config, buffers);
  const hidden = packedDecoder(scope, config, features, buffers.prefix);
  const rows = rowExtent(config, buffers.sizes.capacity);
  const index = graph.input("first.index", rows, 1, "u32");
  const last = gatherRows(graph, hidden, index);
  head(scope, last, graph.stored(buffers.logits, rows));
  return graph;
}

function head(scope: Scope, hidden: Tensor, into: Tensor): void {
  product(scope.graph, hidden, scope.weight("lm_head.weight"), { into });
}

/**
 * Traces one decode step: choose a token from the logits, run it through the decoder, leave the next
 * logits. Position, lengths and done flags live on the GPU, so steps replay without a read-back.
 */
export function decodeGraph({ config, weights }: DecodedModel, buffers: DecodeBuffers): Graph {
  const { text } = config;
  const graph = new Graph();
  const scope = new Scope(graph, weights);
  const rows = rowExtent(config, buffers.sizes.capacity);
  const perRow = (storage: Storage) => graph.stored(storage, rows);
  const whole = (storage: Storage) => graph.stored(storage);
  const state = whole(buffers.state);
  const logits = perRow(buffers.logits);
  const next = sampleTokens(graph, logits, {
    info: perRow(buffers.info),
    bans: whole(buffers.bans),
    presence: perRow(buffers.presence),
    state,
    done: perRow(buffers.done),
    lengths: perRow(buffers.lengths),
    eos: whole(buffers.eos),
    tokens: perRow(buffers.tokens),
    logps: perRow(buffers.logps),
  });
  const x = embed(graph, scope.weight("model.embed_tokens.weight"), next, [], undefined);
  const { heads, kvHeads, headDim } = text;
  const tokens = cachedExtent(config);
  const attend: Attend = {
    rotate: (part) =>
      ropeDecode(graph, part, {
        table: whole(buffers.rotary),
        base: perRow(buffers.base),
        state,
        headDim,
      }),
    mix: (layer, q, k, v) =>
      decodeAttention(
        graph,
        { q, k, v },
        {
          prefixK: graph.stored(buffers.prefix[layer]!.k, tokens),
          prefixV: graph.stored(buffers.prefix[layer]!.v, tokens),
          suffixK: whole(buffers.suffix[layer]!.k),
          suffixV: whole(buffers.suffix[layer]!.v),
        },
        {
          prefix: perRow(buffers.prefixRange),
          state,
          capacity: buffers.sizes.capacity,
          heads,
          kvHeads,
          headDim,
        },
      ),
  };
  head(scope, decoder(scope, text, x, attend), logits);
  advance(graph, state);
  return graph;
}
