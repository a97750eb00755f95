import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { RunConfig } from "../config/schema.ts";
import { adapterLayers, trains } from "../checkpoint/tuning.ts";
import type { TensorSpecs } from "../checkpoint/tensor-specs.ts";
import type { Training } from "../checkpoint/weights.ts";
import type { Device } from "../gpu/device.ts";
import { openRunDevice, reportDevice } from "../gpu/run-device.ts";
import { Model } from "../model/model.ts";
import { Processor } from "../model/processor.ts";
import { type BaseModel, fetchModel, reportedLoading, reportModel } from "../model/run-model.ts";
import type { RunParts } from "./options.ts";

/** The sections of a configuration that say which model runs where. */
type PartSettings = Pick<RunConfig, "device" | "model">;

/** Device, model and processor of a run, each handed in or made, and how what was made is freed. */
export interface Parts {
  device: Device;
  base: BaseModel;
  processor: Processor;
  model: Model;
  /** Frees the model unless it is the caller's; a second time does nothing. */
  freeModel(): void;
  /** Frees everything that is not the caller's. */
  close(): void;
}

/**
 * Opens what a run works on, as its configuration says wherever the caller hands nothing in.
 *
 * @param load loads the model from a folder where the caller has no loader.
 * @throws {ConfigError} `other-device` for a model on another device than the one handed in;
 *   {DeviceError | CheckpointError} of the defaults.
 */
export async function openParts(
  config: PartSettings,
  given: RunParts,
  events: Events,
  load: (device: Device, folder: string) => Promise<Model>,
): Promise<Parts> {
  const own = given.device ?? (given.model instanceof Model ? given.model.device : undefined);
  const device = own ?? (await openRunDevice(config.device, events));
  if (own !== undefined) reportDevice(own, events);
  const closeDevice = () => {
    if (own === undefined) device.close();
  };
  try {
    const base = await fetchModel(config.model, events);
    const processor = given.processor ?? (await Processor.load(base.folder));
    const told = processor.onWarning;
    processor.onWarning = (warning) => {
      report(events, "warning", { ...warning });
      told?.(warning);
    };
    const model = await openModel(device, base.folder, given, load);
    reportModel(model, config.model.storage, events);
    let held = !(given.model instanceof Model);
    const freeModel = () => {
      if (held) model.weights.destroy();
      held = false;
    };
    const close = () => {
      processor.onWarning = told;
      freeModel();
      closeDevice();
    };
    return { device, base, processor, model, freeModel, close };
  } catch (error) {
    closeDevice();
    throw error;
  }
}

async function openModel(
  device: Device,
  folder: string,
  { model }: RunParts,
  load: (device: Device, folder: string) => Promise<Model>,
): Promise<Model> {
  if (typeof model === "function") return model(device);
  if (model === undefined) return load(device, folder);
  if (model.device === device) return model;
  throw new ConfigError("other-device", "The model that was handed in lies on another device.", {
    hint: "Load it onto the device that is handed in, or leave the device out.",
  });
}

/**
 * Says which weights of a run train, the adapters that train instead, and how the rest is stored.
 */
function trainingOf({ model, train }: Pick<RunConfig, "model" | "train">): Training {
  const { storage } = model;
  if (train.lora === null) return { trains: (name, spec) => trains(name, spec, train), storage };
  const { r, lora_alpha: alpha, use_rslora: rslora, target_modules: targets } = train.lora;
  const choose = (layers: TensorSpecs) => adapterLayers(layers, targets, train);
  return { trains: () => false, storage, adapters: { r, alpha, rslora, choose, seed: train.seed } };
}

/** Loads the model that a run trains from a folder, or gives it new weights. */
export async function loadTrained(
  device: Device,
  folder: string,
  config: Pick<RunConfig, "model" | "train">,
  events: Events,
): Promise<Model> {
  const [training, loading] = [trainingOf(config), reportedLoading(events)];
  return config.model.init === "weights"
    ? await Model.load(device, folder, training, loading)
    : await Model.initialise(device, folder, config.train.seed, training, loading);
}
