import { openRunDevice } from "../gpu/run-device.ts";
import type { DeviceConfig } from "../gpu/schema.ts";
import { Model } from "../model/model.ts";
import { Processor } from "../model/processor.ts";
import { fetchModel, reportedLoading, reportModel } from "../model/run-model.ts";
import type { BaseModelConfig } from "../model/schema.ts";
import { ConfigError } from "../core/errors.ts";
import { HeldOut, type HeldOutSettings, openBenchmarks } from "./held-out.ts";
import type { EvalOptions, EvalResult } from "./run-interface.ts";

/** What is evaluated: the sections of a checked configuration that matter. */
export interface EvalSettings extends HeldOutSettings {
  model: BaseModelConfig;
  device: DeviceConfig;
}

/**
 * Evaluates a checkpoint on the benchmarks of a configuration: intact, then under each control.
 *
 * Stopped before all are asked, it returns no result.
 *
 * @throws {ConfigError} `no-benchmark` where the configuration names none;
 *   {DeviceError | CheckpointError | DataError} with what to do about it.
 */
export async function evaluateRun(
  settings: EvalSettings,
  options: EvalOptions,
): Promise<EvalResult> {
  const started = performance.now();
  const benchmarks = await openBenchmarks(settings.eval, options);
  if (benchmarks.length === 0) {
    throw new ConfigError("no-benchmark", "The configuration names nothing to evaluate on.", {
      hint: "Name a benchmark in the section eval, such as eval.name=jsonl eval.path=questions.jsonl.",
    });
  }
  const device = await openRunDevice(settings.device, options.events);
  try {
    const { folder } = await fetchModel(settings.model, options.events);
    const processor = await Processor.load(folder);
    const { storage } = settings.model;
    const training = { trains: () => false, storage };
    const model = await Model.load(device, folder, training, reportedLoading(options.events));
    reportModel(model, storage, options.events);
    const heldOut = new HeldOut(model, processor, settings, options, benchmarks);
    const found = await resultsOf(heldOut);
    return { benchmarks: found, seconds: (performance.now() - started) / 1000 };
  } finally {
    device.close();
  }
}

async function resultsOf(heldOut: HeldOut): Promise<EvalResult["benchmarks"]> {
  const intact = await heldOut.ask(0, "after", null);
  const found: EvalResult["benchmarks"] = {};
  for (const [name, { questions, failed, scores }] of Object.entries(intact ?? {})) {
    found[name] = { questions, failed, scores, controls: {} };
  }
  for (const control of intact === undefined ? [] : heldOut.controls) {
    const asked = await heldOut.ask(0, "after", control);
    if (asked === undefined) return {};
    for (const [name, { scores }] of Object.entries(asked)) found[name]!.controls[control] = scores;
  }
  return found;
}
