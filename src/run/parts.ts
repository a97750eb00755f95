import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { RunConfig } from "../config/schema.ts";
import type { Device } from "../gpu/device.ts";
import { openRunDevice, reportDevice } from "../gpu/run-device.ts";
import { loadModel } from "../model/load.ts";
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

/** Loads the model that a run trains from a folder, or gives it new weights. */
export async function loadTrained(
  device: Device,
  folder: string,
  { model, train }: Pick<RunConfig, "model" | "train">,
  events: Events,
): Promise<Model> {
  const { seed, lora } = train;
  return loadModel(device, folder, {
    ...{ train, storage: model.storage },
    ...(lora && { lora: { ...lora, seed } }),
    ...(model.init === "random" && { seed }),
    ...reportedLoading(events),
  });
}

/**
 * Loads the model that a run left in a folder, on the base at hand where it is adapters.
 *
 * Whole weights are loaded as f32, which holds every export type exactly.
 *
 * @param storage of the base under adapters.
 */
export async function loadExported(
  { model: trained, base }: Pick<Parts, "model" | "base">,
  folder: string,
  storage: RunConfig["model"]["storage"],
  events: Events,
): Promise<Model> {
  const { device, weights } = trained;
  const loading = reportedLoading(events, "loading the trained model");
  if (weights.adapters.size === 0) return loadModel(device, folder, loading);
  return loadModel(device, base.folder, { storage, adapter: folder, ...loading });
}
