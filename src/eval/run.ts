import { openRunDevice } from "../gpu/run-device.ts";
import type { DeviceConfig } from "../gpu/schema.ts";
import { Model } from "../model/model.ts";
import { Processor } from "../model/processor.ts";
import { fetchModel, reportedLoading, reportModel } from "../model/run-model.ts";
import type { BaseModelConfig } from "../model/schema.ts";
import { HeldOut, type HeldOutSettings } from "./held-out.ts";
import type { EvalOptions, EvalResult } from "./run-interface.ts";

/** What is evaluated: the sections of a checked configuration that matter. */
export interface EvalSettings extends HeldOutSettings {
  model: BaseModelConfig;
  device: DeviceConfig;
}

/**
 * Evaluates a checkpoint on held-out questions: intact, then under each control.
 *
 * Stopped before the first scores are complete, it returns 0 questions with scores that are NaN.
 *
 * @throws {DeviceError | CheckpointError | DataError} with what to do about it.
 */
export async function evaluateRun(
  settings: EvalSettings,
  options: EvalOptions,
): Promise<EvalResult> {
  const started = performance.now();
  const device = await openRunDevice(settings.device, options.events);
  try {
    const { folder } = await fetchModel(settings.model, options.events);
    const processor = await Processor.load(folder);
    const { storage } = settings.model;
    const training = { trains: () => false, storage };
    const model = await Model.load(device, folder, training, reportedLoading(options.events));
    reportModel(model, storage, options.events);
    const heldOut = await HeldOut.open(model, processor, settings, options);
    const intact = await heldOut.ask(0, "after", null);
    const controls: EvalResult["controls"] = {};
    for (const control of settings.eval.controls) {
      const result = await heldOut.ask(0, "after", control);
      if (result !== undefined) controls[control] = result.scores;
    }
    return {
      questions: intact?.questions ?? 0,
      failed: intact?.failed ?? 0,
      scores: intact?.scores ?? { overall: NaN, format: NaN },
      controls,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    device.close();
  }
}
