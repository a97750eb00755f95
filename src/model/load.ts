import type { StorageName } from "../core/storage-types.ts";
import { modelFolder, type HubOptions } from "#hub";
import type { Device } from "../gpu/device.ts";
import { Model } from "./model.ts";
import { LORA_DEFAULTS, type LoraSettings } from "../checkpoint/lora.ts";
import { adapterLayers, trains, type TuningGroups } from "../checkpoint/tuning.ts";
import type { LoadProgress, Training } from "../checkpoint/weights.ts";
import { refuseUnknown } from "../core/options.ts";

/** Options of loading a model. */
export interface LoadOptions {
  /** Which parts will train; nothing when left out. */
  train?: Partial<TuningGroups>;
  /**
   * Adapters that train on the parts of `train` in the place of their weights, with the seed of their
   * first factors; what is left out takes `LORA_DEFAULTS` and seed 0.
   */
  lora?: Partial<LoraSettings> & { seed?: number };
  /** Draw new weights from this seed instead of reading the checkpoint's. */
  seed?: number;
  /**
   * Storage of frozen matrices: f32, or f16s, which takes half of the memory and holds a bf16
   * checkpoint exactly but for the values that `model.weights.inexact` counts. Default f32.
   */
  storage?: StorageName;
  /** Adapters of PEFT's form (a folder or a name on the Hub) to put on the model. */
  adapter?: string;
  /** Options of a name on the Hub: its revision, the cache, the listener of a download. */
  hub?: HubOptions;
  /** Hears how many bytes of the checkpoint are on the device. */
  onProgress?: LoadProgress | undefined;
}

const LOAD_OPTIONS = [
  ...(["train", "lora", "seed", "storage", "adapter", "hub", "onProgress"] as const),
] as const;

/**
 * Loads a model onto a device from a checkpoint in Hugging Face layout.
 *
 * @param reference a folder (a path in Node, or a URL) that holds config.json and safetensors, or a
 *   name on the Hub, which Node downloads into the cache of huggingface_hub.
 * @throws {CheckpointError} that names the file and the tensor or key; {DeviceError} `out-of-memory`.
 * @example
 * const model = await loadModel(device, "Qwen/Qwen2.5-Omni-3B", { storage: "f16s" });
 */
export async function loadModel(
  device: Device,
  reference: string,
  options: LoadOptions = {},
): Promise<Model> {
  refuseUnknown(options, LOAD_OPTIONS, "loadModel");
  const { train, lora, seed, storage, adapter, ...loading } = options;
  const groups: TuningGroups = {
    ...{ tune_mm_llm: false, tune_mm_vision: false, tune_mm_audio: false, tune_mm_mlp: false },
    freeze: [],
    ...train,
  };
  const training: Training = {
    trains: (name, spec) => lora === undefined && trains(name, spec, groups),
    ...(storage && { storage }),
    ...(lora && { adapters: adaptersOf(lora, groups) }),
  };
  const model =
    seed === undefined
      ? await Model.load(device, reference, training, loading)
      : await Model.initialise(device, reference, seed, training, loading);
  if (adapter === undefined) return model;
  try {
    // The revision is the model's, not the adapter's.
    await model.addAdapters(await modelFolder(adapter, { ...loading.hub, revision: null }));
    return model;
  } catch (error) {
    model.weights.destroy();
    throw error;
  }
}

function adaptersOf(
  { seed = 0, ...lora }: NonNullable<LoadOptions["lora"]>,
  groups: TuningGroups,
): Training["adapters"] {
  const {
    r,
    lora_alpha: alpha,
    use_rslora: rslora,
    target_modules,
  } = { ...LORA_DEFAULTS, ...lora };
  return {
    r,
    alpha,
    rslora,
    seed,
    choose: (layers) => adapterLayers(layers, target_modules, groups),
  };
}
