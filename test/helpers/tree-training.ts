import type { Device } from "../../src/gpu/device.ts";
import { hash32, Random } from "../../src/core/random.ts";
import { Graph } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import { mergeFeeds, type Feed } from "../../src/network/feed.ts";
import { trainingGraph, weightedNll } from "../../src/network/decoder/training.ts";
import {
  completionBranch,
  IGNORE,
  packedFeed,
  packTrees,
  type Tree,
} from "../../src/network/decoder/packed.ts";
import type { ModelWeights, Training } from "../../src/checkpoint/weights.ts";
import { Scope } from "../../src/network/scope.ts";
import type { PatchGrid } from "../../src/network/media.ts";
import { towerFeeds } from "./golden.ts";
import { openPrompt, type TinyModel } from "./modalities.ts";
import { randomF32 } from "./random-data.ts";

/** Ids below this are words in both tiny vocabularies. */
const WORDS = 60;

/** A prompt with its media, for trees of any branches. */
export interface PromptWithMedia {
  prompt: Tree["prompt"];
  pictures: { grid: PatchGrid; patches: Float32Array }[];
  clips: { mel: Float32Array; frames: number }[];
}

/** A prompt of a tiny model by name, see `PROMPTS`. */
export async function treePrompt(
  model: TinyModel,
  name: string,
  config: FamilyModel,
): Promise<PromptWithMedia> {
  const { patches, grids, mel, ...prompt } = await openPrompt(model, name, config);
  let at = 0;
  const pictures = grids.map((grid) => {
    const length = grid[0] * grid[1] * grid[2] * config.vision!.patchDim;
    at += length;
    return { grid, patches: patches.subarray(at - length, at) };
  });
  return { prompt, pictures, clips: mel.map(({ data, frames }) => ({ mel: data, frames })) };
}

/** A prompt, the completions of its group and the weight of each completion token in the loss. */
export interface Group extends PromptWithMedia {
  completions: number[][];
  weights: number[][];
}

/** Completions of given lengths with random words and weights, a pure function of the seed. */
export function randomGroup(
  prompt: PromptWithMedia,
  lengths: readonly number[],
  seed: number,
): Group {
  const random = new Random(seed, "data");
  return {
    ...prompt,
    completions: lengths.map((n) => Array.from({ length: n }, () => random.integer(WORDS))),
    weights: lengths.map((n) => Array.from({ length: n }, () => random.uniform(-0.1, 0.3))),
  };
}

/** Makes the inputs of a pass over trees with media and per-row loss weights. */
export function treesFeed(
  config: FamilyModel,
  groups: readonly PromptWithMedia[],
  trees: readonly Tree[],
  weights: readonly number[],
): Feed {
  return mergeFeeds(
    ...towerFeeds(
      config,
      groups.flatMap(({ pictures }) => pictures),
      groups.flatMap(({ clips }) => clips),
    ),
    packedFeed(config, packTrees(trees)),
    { inputs: { "loss.weight": Float32Array.from(weights) }, sizes: {}, scalars: {} },
  );
}

/** Groups as packed trees: every prompt once. */
export function packedGroups(config: FamilyModel, groups: readonly Group[]): Feed {
  const trees = groups.map(({ prompt, completions }) => ({
    prompt,
    branches: completions.map(completionBranch),
  }));
  return treesFeed(
    config,
    groups,
    trees,
    groups.flatMap(({ weights }) => weights.flat()),
  );
}

/** One completion of a group as a plain sequence without branches. */
export function singleSequence(config: FamilyModel, group: Group, completion: number): Feed {
  const { prompt } = group;
  const tokens = group.completions[completion]!;
  const length = prompt.inputIds.length;
  const total = length + tokens.length;
  const positions = new Int32Array(3 * total);
  for (let axis = 0; axis < 3; axis++) {
    positions.set(prompt.positions.subarray(axis * length, (axis + 1) * length), axis * total);
    for (let i = 0; i < tokens.length; i++) {
      positions[axis * total + length + i] = prompt.nextPos + i;
    }
  }
  const labels = new Int32Array(total).fill(IGNORE);
  labels.set(tokens, length - 1);
  const sequence: Tree = {
    prompt: {
      ...prompt,
      inputIds: Uint32Array.from([...prompt.inputIds, ...tokens]),
      positions,
      nextPos: prompt.nextPos + tokens.length,
    },
    promptLabels: labels,
    branches: [],
  };
  return treesFeed(config, [group], [sequence], group.weights[completion]!);
}

/** The largest sizes among feeds; as many token buckets as there can be. */
export function capacityOf(feeds: readonly Feed[]): Record<string, number> {
  const capacity: Record<string, number> = {};
  for (const { sizes } of feeds) {
    for (const [name, size] of Object.entries(sizes)) {
      capacity[name] = Math.max(capacity[name] ?? 0, size);
    }
  }
  const tokens = capacity["tokens"]!;
  return { ...capacity, buckets: tokens, bucketEnds: tokens + 1 };
}

/** The thinker with its loss and all gradients as one plan. */
export class TrainingPass {
  readonly device: Device;
  readonly weights: ModelWeights;
  readonly plan: Plan;

  /** Traces and compiles; keeps `terms` [1, 2] and `logProbs` [lossRows, 3]. */
  static async compile(
    device: Device,
    config: FamilyModel,
    weights: ModelWeights,
    capacity: Readonly<Record<string, number>>,
  ): Promise<TrainingPass> {
    const graph = new Graph();
    trainingGraph(new Scope(graph, weights), config, weightedNll);
    const plan = await Plan.compile(device, graph, { label: "training", capacity });
    return new TrainingPass(device, weights, plan);
  }

  private constructor(device: Device, weights: ModelWeights, plan: Plan) {
    this.device = device;
    this.weights = weights;
    this.plan = plan;
  }

  /** Replays passes one after the other, gradients accumulating from zero; returns the summed loss. */
  async run(feeds: readonly Feed[]): Promise<number> {
    this.device.submit((encoder) => this.weights.clearGradients(encoder));
    let loss = 0;
    for (const { inputs, sizes, scalars } of feeds) {
      this.plan.writeAll(inputs);
      await this.plan.run(sizes, scalars);
      loss += (await this.plan.read("terms", 1))[0]!;
    }
    return loss;
  }

  /** All gradients, by parameter name. */
  async gradients(): Promise<Map<string, Float32Array>> {
    const result = new Map<string, Float32Array>();
    for (const { name, gradient } of this.weights.trained) {
      result.set(name, await gradient!.download());
    }
    return result;
  }
}

/** Every weight that a forward pass uses but the positions of Qwen2-Audio's tower, which stay. */
export const EVERYTHING: Training = {
  trains: (name) => !/audio_bos_eos|embed_positions/.test(name),
};

/** Adapters alone, of every layer of decoder and towers that can have one, on frozen f16s weights. */
export const ADAPTERS: Training = {
  trains: () => false,
  storage: "f16s",
  adapters: {
    ...{ r: 3, alpha: 6, seed: 4 },
    choose: (layers) =>
      new Set([...layers.keys()].filter((name) => /_proj$|\.attn\.|\.fc[12]$/.test(name))),
  },
};

/** Gives the second factors, which begin as zero, values: the adapters change what the model says. */
export function stirAdapters({ adapters }: ModelWeights): void {
  for (const [layer, { b }] of adapters) {
    b.value.upload(randomF32(b.value.rows * b.value.width, hash32(layer), -0.05, 0.05));
  }
}
