import { checkInput } from "../config/load.ts";
import type { RunInput } from "../config/schema.ts";
import { ConfigError } from "../core/errors.ts";
import { Events } from "../core/events.ts";
import { refuseUnknown } from "../core/options.ts";
import { HeldOut } from "../eval/held-out.ts";
import { Model } from "../model/model.ts";
import { reportedLoading } from "../model/run-model.ts";
import { openQuestions } from "./own-rows.ts";
import { RUN_PARTS, type EvalResult, type RunParts } from "./options.ts";
import { openParts } from "./parts.ts";

/**
 * Evaluates a model on the benchmarks of a configuration: intact, then under each control.
 *
 * Stopped before all are asked, it returns no result.
 *
 * @param input the sections and keys of a run's YAML, of which `model`, `eval`, `rollout` and
 *   `device` matter; in a page `model.path` and folders of clips are URLs.
 * @throws {ConfigError} that names every wrong key, or `no-benchmark` where none is named;
 *   {DeviceError | CheckpointError | DataError} with what to do about it.
 * @example
 * const tiny = { name: "tiny" as const, questions: 30 };
 * const { benchmarks } = await evaluate({ model: { path: "assets/tiny" }, eval: tiny });
 */
export async function evaluate(input: RunInput, parts: RunParts = {}): Promise<EvalResult> {
  refuseUnknown(parts, RUN_PARTS, "evaluate");
  const config = await checkInput(input);
  const started = performance.now();
  const events = new Events();
  if (parts.onEvent !== undefined) events.listen(parts.onEvent);
  const stop = parts.signal ?? new AbortController().signal;
  const benchmarks = await openQuestions(config, parts, events);
  if (benchmarks.length === 0) {
    throw new ConfigError("no-benchmark", "The configuration names nothing to evaluate on.", {
      hint: "Name a benchmark in the section eval, such as eval.name=jsonl eval.path=questions.jsonl.",
    });
  }
  const frozen = { trains: () => false, storage: config.model.storage };
  const opened = await openParts(config, parts, events, (device, folder) =>
    Model.load(device, folder, frozen, reportedLoading(events)),
  );
  try {
    const { model, processor } = opened;
    const heldOut = new HeldOut(model, processor, config, { events, stop }, benchmarks);
    try {
      const found = await resultsOf(heldOut);
      return { benchmarks: found, seconds: (performance.now() - started) / 1000 };
    } finally {
      heldOut.destroy();
    }
  } finally {
    opened.close();
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
