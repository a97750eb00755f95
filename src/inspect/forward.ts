import { Extent } from "../graph/extent.ts";
import { Graph } from "../graph/graph.ts";
import { GrowingPlan } from "../graph/plan/growing-plan.ts";
import { linear } from "../ops/linear.ts";
import { Plan } from "../graph/plan/plan.ts";
import { packedDecoder, towers } from "../network/decoder/packed-decoder.ts";
import { packedFeed, packTrees } from "../network/decoder/packed.ts";
import { textRowBytes } from "../network/decoder/text.ts";
import { trainingGraph, weightedNll } from "../network/decoder/training.ts";
import type { ModelConfig } from "../network/config.ts";
import { type Feed, mergeFeeds } from "../network/feed.ts";
import type { Scope } from "../network/scope.ts";
import type { Model } from "../model/model.ts";
import { checkLedger, type Sample } from "../prompt/sample.ts";

/** Rows whose logits are computed at a time, where the adapter's binding limit allows. */
const LOGIT_ROWS = 64;

/**
 * One forward pass over samples, and a backward pass where labels are given, with everything in
 * between still on the GPU.
 *
 * Tokens of all samples are packed one after the other: T rows in all.
 */
export class ForwardPass {
  /** Mean cross-entropy over the labelled tokens of all samples. */
  readonly loss: number | undefined;
  readonly #model: Model;
  readonly #plan: GrowingPlan;
  readonly #sizes: Readonly<Record<string, number>>;
  #head: { plan: Plan; normed: Float32Array; rows: number } | undefined;

  private constructor(
    model: Model,
    plan: GrowingPlan,
    sizes: Feed["sizes"],
    loss: number | undefined,
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#sizes = sizes;
    this.loss = loss;
  }

  /**
   * Runs a model over samples.
   *
   * @param labels for each sample and token the id that is to follow, or -100; gradients of the mean
   *   cross-entropy go into the model's parameters that train.
   * @throws {DataError} `ledger-mismatch` that names the row and the file.
   */
  static async run(
    model: Model,
    samples: readonly Sample[],
    labels?: readonly ArrayLike<number>[],
  ): Promise<ForwardPass> {
    const { config, device, weights } = model;
    for (const sample of samples) checkLedger(sample, config);
    const packed = packTrees(
      samples.map((prompt, i) => ({ prompt, promptLabels: labels?.[i] ?? [], branches: [] })),
    );
    const targets = packed.lossRows.length;
    const loss: Feed = {
      inputs: { "loss.weight": new Float32Array(targets).fill(1 / targets) },
      ...{ sizes: {}, scalars: {} },
    };
    const feed = mergeFeeds(model.mediaFeed(samples), packedFeed(config, packed), loss);
    const plan = new GrowingPlan(device, "inspect", () => trace(model, labels !== undefined));
    if (labels !== undefined) device.submit((encoder) => weights.clearGradients(encoder));
    await plan.run(feed);
    const [value] = labels === undefined ? [] : await plan.read("terms", 1);
    return new ForwardPass(model, plan, feed.sizes, value);
  }

  /** Tokens of all samples together. */
  get tokens(): number {
    return this.#sizes["tokens"]!;
  }

  /** [rows, hiddenSize] what the vision or the audio tower made of all media, in their order. */
  async features(tower: "vision" | "audio"): Promise<Float32Array> {
    const rows = this.#sizes[tower === "vision" ? "cells" : "audioFeatures"] ?? 0;
    return rows === 0 ? new Float32Array() : this.#plan.read(tower, rows);
  }

  /**
   * [T, hiddenSize] hidden states in the sense of transformers: 0 is the embeddings with features in
   * their places, i the output of layer i, and the last one is behind the final norm.
   */
  hidden(index: number): Promise<Float32Array> {
    return this.#plan.read(hiddenName(index, this.#model.config.text.layers), this.tokens);
  }

  /** [count, vocabSize] logits of the rows from `first` on, by one plan in blocks of rows. */
  async logits(first: number, count: number): Promise<Float32Array> {
    const { text } = this.#model.config;
    const { plan, normed, rows } = (this.#head ??= await this.#makeHead());
    const all = new Float32Array(count * text.vocabSize);
    for (let at = 0; at < count; at += rows) {
      const size = Math.min(rows, count - at);
      const from = (first + at) * text.hiddenSize;
      plan.write("normed", normed.subarray(from, from + size * text.hiddenSize));
      await plan.run({ logitRows: size });
      all.set(await plan.read("logits", size), at * text.vocabSize);
    }
    return all;
  }

  /** Frees what the pass holds on the GPU; gradients stay with the model. */
  destroy(): void {
    this.#plan.destroy();
    this.#head?.plan.destroy();
    this.#head = undefined;
  }

  async #makeHead() {
    const { config, device } = this.#model;
    const { text } = config;
    const extent = new Extent("logitRows", Math.max(textRowBytes(text), 4 * text.vocabSize));
    const rows = Math.min(LOGIT_ROWS, extent.unitsPerChunk(device.capabilities.chunkBytes));
    const graph = new Graph();
    const normed = graph.input("normed", extent, text.hiddenSize);
    const head = this.#model.scope(graph).weight("lm_head.weight");
    graph.keep("logits", linear(graph, normed, head));
    const plan = await Plan.compile(device, graph, {
      label: "head",
      capacity: { logitRows: rows },
    });
    return { plan, rows, normed: await this.hidden(text.layers) };
  }
}

function hiddenName(index: number, layers: number): string {
  if (index === 0) return "embeddings";
  return index === layers ? "normed" : `hidden.${index - 1}`;
}

function trace(model: Model, backward: boolean): Graph {
  const { config } = model;
  const graph = new Graph();
  const scope = model.scope(graph);
  const { features, hidden } = backward
    ? trainingGraph(scope, config, weightedNll, { recomputes: true })
    : hiddenStates(scope, config);
  if (features.vision !== undefined) graph.keep("vision", features.vision);
  if (features.audio !== undefined) graph.keep("audio", features.audio);
  graph.keep("normed", hidden);
  for (let index = 0; index < config.text.layers; index++) {
    const name = hiddenName(index, config.text.layers);
    graph.keep(name, graph.annotations.get(name)!);
  }
  return graph;
}

function hiddenStates(scope: Scope, config: ModelConfig) {
  const features = towers(scope, config);
  return { features, hidden: packedDecoder(scope, config, features) };
}
