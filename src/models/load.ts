import type { Device } from "../gpu/device.ts";
import type { LoadProgress } from "./weights.ts";
import { Model } from "./model.ts";
import { trains, type TuningGroups } from "./tuning.ts";

/** What is loaded besides the weights themselves. */
export interface LoadOptions {
  /** Which parts will train; nothing when left out. */
  train?: Partial<TuningGroups>;
  /** Draw new weights from this seed instead of reading the checkpoint's. */
  seed?: number;
  /** Hears how many weights are on the device. */
  onProgress?: LoadProgress;
}

/**
 * Loads a model onto a device from a checkpoint folder in Hugging Face layout.
 *
 * @param folder a path (Node) or a URL that holds config.json and safetensors.
 * @throws {CheckpointError} that names the file and the tensor or key; {DeviceError} `out-of-memory`.
 */
export function loadModel(
  device: Device,
  folder: string,
  options: LoadOptions = {},
): Promise<Model> {
  const { train, seed, onProgress } = options;
  const groups: TuningGroups = {
    ...{ tune_mm_llm: false, tune_mm_vision: false, tune_mm_audio: false, tune_mm_mlp: false },
    freeze: [],
    ...train,
  };
  const training = { trains: (name: string) => trains(name, groups) };
  return seed === undefined
    ? Model.load(device, folder, training, onProgress)
    : Model.initialise(device, folder, seed, training);
}
