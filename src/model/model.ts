import { modelFolder, type HubOptions } from "#hub";
import { readText } from "#io";
import { CheckpointError } from "../core/errors.ts";
import type { Device } from "../gpu/device.ts";
import type { Graph } from "../graph/graph.ts";
import { joinPath } from "../io/path.ts";
import { openCheckpoint } from "../checkpoint/safetensors.ts";
import { Scope } from "../network/scope.ts";
import { isAdapterFolder, readAdapterConfig, readAdapters } from "../checkpoint/adapter-folder.ts";
import type { FamilyModel } from "../families/family.ts";
import { packedFeed, packTrees, type FeatureOffset, type Tree } from "../network/decoder/packed.ts";
import { parseModelConfig } from "../families/registry.ts";
import { mergeFeeds, type Feed } from "../network/feed.ts";
import { initialWeights } from "../checkpoint/init.ts";
import { matchTensors } from "../checkpoint/match-tensors.ts";
import type { MediaTensors } from "../network/media.ts";
import { arraySource, storedSource, type WeightSource } from "../checkpoint/weight-source.ts";
import { ModelWeights, type Training, type WeightLoading } from "../checkpoint/weights.ts";

/** How a model is loaded, and where its name is looked up. */
export interface ModelLoading extends WeightLoading {
  /** For a model, or the base of adapters, that is named as on the Hub. */
  hub?: HubOptions | undefined;
}

/** A model of any family on a device. */
export class Model {
  readonly config: FamilyModel;
  readonly weights: ModelWeights;
  readonly device: Device;

  /** Puts a model together from its parts. */
  constructor(device: Device, config: FamilyModel, weights: ModelWeights) {
    this.device = device;
    this.config = config;
    this.weights = weights;
  }

  /**
   * Loads a checkpoint: `config.json` and safetensors, or the adapters that PEFT or a run of this
   * program saved, which go on the model that they name.
   *
   * Weights are streamed: host memory is bounded, see {@link WeightStream}. What fails leaves
   * nothing on the device.
   *
   * @param reference a folder (a path or a URL) or a name on the Hub.
   * @throws {CheckpointError} that names the file and the tensor or key; `adapter-of-adapter` when
   *   a model with adapters is to be trained; {DeviceError} `out-of-memory`.
   */
  static async load(
    device: Device,
    reference: string,
    training?: Training,
    loading: ModelLoading = {},
  ): Promise<Model> {
    const folder = await modelFolder(reference, loading.hub);
    if (!(await isAdapterFolder(folder))) {
      return Model.#loadWhole(device, folder, training, loading);
    }
    const { base, revision } = await readAdapterConfig(folder);
    const hub = { ...loading.hub, revision };
    const whole = await modelFolder(base, hub);
    const model = await Model.#loadWhole(device, whole, training, loading);
    try {
      if (model.weights.trained.length > 0) {
        throw new CheckpointError(
          "adapter-of-adapter",
          `${folder} holds adapters of ${base}; a training run starts from a whole model.`,
          { hint: "Continue the run of the adapters with --resume, or start from the base." },
        );
      }
      await model.addAdapters(folder);
      return model;
    } catch (error) {
      model.weights.destroy();
      throw error;
    }
  }

  static async #loadWhole(
    device: Device,
    folder: string,
    training: Training | undefined,
    loading: ModelLoading,
  ): Promise<Model> {
    const config = await readConfig(folder);
    const { names } = config;
    const store = await openCheckpoint(folder, (name) => names.canonical(name) !== undefined);
    try {
      // A tied head names the embedding's tensor: one source, and so one parameter.
      const byStored = new Map<string, WeightSource>();
      const sources = new Map<string, WeightSource>();
      const matched = matchTensors(config, store.tensors, folder);
      for (const [name, stored] of matched) {
        const source = byStored.get(stored) ?? storedSource(store, stored);
        byStored.set(stored, source);
        sources.set(name, source);
      }
      const weights = await ModelWeights.load(device, sources, config.tensors, training, loading);
      return new Model(device, config, weights);
    } finally {
      await store.close();
    }
  }

  /** A model with new random weights, for training from scratch; `reference` as in `load`. */
  static async initialise(
    device: Device,
    reference: string,
    seed: number,
    training?: Training,
    loading: ModelLoading = {},
  ): Promise<Model> {
    const config = await readConfig(await modelFolder(reference, loading.hub));
    const sources = new Map<string, WeightSource>();
    for (const [name, { shape, data }] of initialWeights(config, seed)) {
      sources.set(name, arraySource(shape, data));
    }
    if (config.tieWordEmbeddings) {
      sources.set("lm_head.weight", sources.get("model.embed_tokens.weight")!);
    }
    const weights = await ModelWeights.load(device, sources, config.tensors, training, loading);
    return new Model(device, config, weights);
  }

  /**
   * Puts the adapters of a folder on this model's layers; they do not train.
   *
   * @throws {CheckpointError} `bad-adapter` that names the file and the tensor.
   */
  async addAdapters(folder: string): Promise<void> {
    const { r, scale, rslora } = await readAdapterConfig(folder);
    for (const [layer, factors] of await readAdapters(folder, this.config, r)) {
      this.weights.addAdapter(layer, { ...factors, scale, rslora }, false);
    }
  }

  /** A scope that names this model's weights in a graph. */
  scope(graph: Graph): Scope {
    return new Scope(graph, this.weights);
  }

  /** Makes the decoder's inputs for packed trees. */
  treeFeed(trees: readonly Tree[], offsets?: readonly FeatureOffset[]): Feed {
    return packedFeed(this.config, packTrees(trees), offsets);
  }

  /** Makes the towers' inputs for the media of samples, in their order. */
  mediaFeed(samples: readonly MediaTensors[]): Feed {
    const { vision, audio } = this.config;
    return mergeFeeds(...[vision, audio].flatMap((tower) => tower?.feed(samples) ?? []));
  }

  /** True when any part before the decoder trains, so that features change with every update. */
  get towersTrain(): boolean {
    const { parameters, adapters } = this.weights;
    return [...this.config.tensors].some(([name, { part }]) => {
      if (part === "decoder") return false;
      const adapter = adapters.get(name.replace(/\.weight$/, ""));
      return [parameters.get(name), adapter?.a].some((each) => each?.gradient !== undefined);
    });
  }
}

async function readConfig(folder: string): Promise<FamilyModel> {
  const path = joinPath(folder, "config.json");
  return parseModelConfig(await readText(path), path);
}
