import type { Events } from "../core/events.ts";
import type { DataRow } from "../data/dataset.ts";
import type { Device } from "../gpu/device.ts";
import { Model } from "../model/model.ts";
import { reportedLoading, reportModel } from "../model/run-model.ts";
import type { TensorSpecs } from "../checkpoint/tensor-specs.ts";
import { adapterLayers, trains } from "../checkpoint/tuning.ts";
import type { Training } from "../checkpoint/weights.ts";
import { configuredRewards } from "../reward/configured.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import type { RunSettings, TrainOptions } from "./run-interface.ts";

/** Which weights of a run train, the adapters that train instead, and how the rest is stored. */
function trainingOf({ model, train }: RunSettings): Training {
  const { storage } = model;
  if (train.lora === null) return { trains: (name, spec) => trains(name, spec, train), storage };
  const { r, lora_alpha: alpha, use_rslora: rslora, target_modules: targets } = train.lora;
  const choose = (layers: TensorSpecs) => adapterLayers(layers, targets, train);
  return { trains: () => false, storage, adapters: { r, alpha, rslora, choose, seed: train.seed } };
}

/**
 * Loads the model that a run trains, from a checkpoint or with new weights, and reports it.
 *
 * @param settings whose `model.path` is a folder.
 */
export async function loadRunModel(
  device: Device,
  settings: RunSettings,
  events: Events,
): Promise<Model> {
  const { path, init, storage } = settings.model;
  const [training, loading] = [trainingOf(settings), reportedLoading(events)];
  const model =
    init === "weights"
      ? await Model.load(device, path, training, loading)
      : await Model.initialise(device, path, settings.train.seed, training, loading);
  reportModel(model, storage, events);
  return model;
}

/**
 * The weighted rewards of a configuration, then those that a program adds.
 *
 * @throws {ConfigError} when a module cannot be used, or a judge's key is not set.
 */
export async function runRewards(
  settings: RunSettings,
  { rewards = [], runFolder, configUrl }: Pick<TrainOptions, "rewards" | "runFolder" | "configUrl">,
): Promise<WeightedReward<DataRow, AsyncReward<DataRow>>[]> {
  const { seed } = settings.train;
  const named = await configuredRewards(settings.rewards, { seed, runFolder, configUrl });
  return [...named, ...rewards];
}
