import { writeFileAtomic } from "#io";
import { checkSource, resolvedYaml } from "./config/load.ts";
import type { RunConfig, RunInput } from "./config/schema.ts";
import { Events, type Listener } from "./core/events.ts";
import type { DataRow } from "./data/dataset.ts";
import { evaluateRun } from "./eval/run.ts";
import type { EvalResult } from "./eval/run-interface.ts";
import { joinPath } from "./io/path.ts";
import type { AsyncReward, WeightedReward } from "./reward/reward.ts";
import { prepareRunFolder, RUN_FILES } from "./run/folder.ts";
import type { TrainOptions, TrainResult } from "./run/run-interface.ts";
import { train as trainRun } from "./run/train.ts";

/** Where a program listens to a run and how it stops one. */
export interface RunHooks {
  /** Hears everything that happens; the kinds are those of `RunEvents`. */
  onEvent?: Listener;
  /** When aborted, training stops after its current step, evaluation between two batches. */
  signal?: AbortSignal;
}

/** What a program adds to a training run. */
export interface TrainHooks extends RunHooks {
  /**
   * Rewards of the program's own, besides those that the configuration names; where it names none,
   * they are the only ones.
   */
  rewards?: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[];
  /** Folder for checkpoints and the trained model (Node only); without it nothing is saved. */
  runFolder?: string;
  /** Given the trained model while its device is still open. */
  onTrained?: TrainOptions["onTrained"];
}

function checked(config: RunInput): RunConfig {
  return checkSource({ value: { ...config }, places: new Map() }, "the configuration");
}

function watcher({ onEvent, signal }: RunHooks): { events: Events; stop: AbortSignal } {
  const events = new Events();
  if (onEvent !== undefined) events.listen(onEvent);
  return { events, stop: signal ?? new AbortController().signal };
}

/**
 * Trains as a configuration says: the sections and keys of a run's YAML, defaults filled in.
 *
 * In a page `model.path` and `data.folder` are URLs.
 *
 * @throws {ConfigError} naming every wrong key; {DeviceError | DataError | CheckpointError} later.
 * @example
 * await train({ model: { path: "assets/tiny" }, train: { max_steps: 1 } });
 */
export async function train(config: RunInput, hooks: TrainHooks = {}): Promise<TrainResult> {
  const { rewards, runFolder, onTrained } = hooks;
  const run = checked(config);
  const settings = rewards !== undefined && !config.rewards ? { ...run, rewards: [] } : run;
  if (runFolder !== undefined) {
    await prepareRunFolder(runFolder, false);
    await writeFileAtomic(joinPath(runFolder, RUN_FILES.config), resolvedYaml(run));
  }
  return trainRun(settings, {
    ...watcher(hooks),
    ...(rewards && { rewards }),
    ...(runFolder !== undefined && { runFolder }),
    ...(onTrained && { onTrained }),
  });
}

/**
 * Evaluates the model of a configuration greedily on its held-out questions.
 *
 * @throws {ConfigError} naming every wrong key; {DeviceError | DataError | CheckpointError} later.
 */
export async function evaluate(config: RunInput, hooks: RunHooks = {}): Promise<EvalResult> {
  return evaluateRun(checked(config), watcher(hooks));
}
