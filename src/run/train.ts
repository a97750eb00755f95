import { checkInput } from "../config/load.ts";
import type { RunConfig, RunInput } from "../config/schema.ts";
import { ConfigError } from "../core/errors.ts";
import { refuseUnknown } from "../core/options.ts";
import { report } from "../core/run-events.ts";
import type { OpenedData } from "../data/dataset.ts";
import { openData } from "../datasets/open.ts";
import { HeldOut } from "../eval/held-out.ts";
import { sharedRows } from "../eval/overlap.ts";
import { configuredRewards } from "../reward/configured.ts";
import { REWARD_DOCS, type RewardConfig } from "../reward/schema.ts";
import { openGrpo } from "../train/open-grpo.ts";
import { openSft } from "../train/open-sft.ts";
import type { TrainingTask } from "../train/task.ts";
import { checkTrainingRows } from "./check-rows.ts";
import { RunLoop } from "./loop.ts";
import { openQuestions, openTraining } from "./own-rows.ts";
import { TRAIN_OPTIONS, type Session, type TrainOptions, type TrainResult } from "./options.ts";
import { loadTrained, openParts, type Parts } from "./parts.ts";
import type { CardReward } from "./report.ts";
import { withSession } from "./session.ts";
import { checkSameRows } from "./state.ts";

/**
 * Trains as a configuration says: evaluation, steps with checkpoints, the model in Hugging Face
 * layout, and the evaluation of what was written there. The command line runs this, too.
 *
 * Deterministic: the same settings on the same adapter, driver and build give the same bits, also
 * across a stop and a resume.
 *
 * @param input the sections and keys of a run's YAML, defaults filled in; in a page `model.path` and
 *   `data.folder` are URLs.
 * @throws {ConfigError} that names every wrong key; {DeviceError | DataError | CheckpointError} with
 *   what to do about it; what was written before stays whole.
 * @example
 * await train({ model: { path: "assets/tiny" }, train: { max_steps: 1 } }, { runFolder: "run" });
 */
export async function train(input: RunInput, options: TrainOptions = {}): Promise<TrainResult> {
  refuseUnknown(options, TRAIN_OPTIONS, "train");
  const config = await settingsOf(input, options);
  const named = options.rewards !== undefined && !input.rewards ? [] : config.rewards;
  const own = options.rewards ?? [];
  const rewards = config.task === "sft" ? [] : [...named.map(described), ...own.map(describedOwn)];
  return withSession(config, { ...options, rewards }, (session) =>
    trainIn(session, named, options),
  );
}

function described({ name, as, weight }: RewardConfig): CardReward {
  return { name: as ?? name, weight, doc: REWARD_DOCS[name] };
}

function describedOwn({
  reward,
  weight,
}: {
  reward: { name: string };
  weight: number;
}): CardReward {
  return { name: reward.name, weight, doc: "A reward of the program that ran this." };
}

async function settingsOf(input: RunInput, { rewards }: TrainOptions): Promise<RunConfig> {
  const config = await checkInput(input);
  if (config.task === "sft" && rewards !== undefined) {
    throw new ConfigError("sft-parts", "task is sft, which takes no rewards.", {
      hint: "Set task to grpo, or leave rewards out.",
    });
  }
  return config;
}

async function trainIn(
  session: Session,
  named: readonly RewardConfig[],
  options: TrainOptions,
): Promise<TrainResult> {
  const { config, events, resume } = session;
  // Before weights are loaded: what is wrong with rows is known at once.
  const opened = await openTraining(config, options, events);
  const dataset = opened.set;
  const { length: rows, digest } = dataset;
  if (resume !== undefined) checkSameRows(resume.state, digest);
  report(events, "data", { rows, digest });
  const benchmarks = await openQuestions(config, options, events);
  for (const message of sharedRows(dataset, benchmarks)) {
    report(events, "warning", { code: "held-out-is-trained", message });
  }
  const rewards = config.task === "grpo" ? await rewardsOf(session, named, options) : [];
  if (config.task === "grpo" && dataset.alike !== true) {
    await checkTrainingRows(dataset, { ...config, rewards: [...named] }, rewards);
  }
  const parts = await openParts(config, options, events, (device, folder) =>
    loadTrained(device, folder, config, events),
  );
  const made: { destroy(): void }[] = [];
  try {
    const { model, processor } = parts;
    const asking = { events, stop: session.stop, rewards };
    const heldOut = new HeldOut(model, processor, config, asking, benchmarks);
    made.push(heldOut);
    const task = await makeTask(session, parts, { ...options, rewards, opened });
    made.push(task);
    const loop = new RunLoop(session, parts, task, { heldOut, digest });
    made.push(loop);
    await loop.restore();
    const result = await loop.toEnd();
    if (!result.stopped) await options.onTrained?.(loop.model, processor);
    report(events, "end", { step: result.steps, stopped: result.stopped });
    return result;
  } finally {
    for (const one of made.reverse()) one.destroy();
    parts.close();
  }
}

async function rewardsOf(
  { config, runFolder }: Session,
  named: readonly RewardConfig[],
  { rewards = [] }: TrainOptions,
): Promise<NonNullable<TrainOptions["rewards"]>> {
  const around = { seed: config.train.seed, runFolder };
  return [...(await configuredRewards(named, around)), ...rewards];
}

async function makeTask(
  { config, events }: Session,
  { model, processor }: Parts,
  { rewards = [], opened, rollouts }: TrainOptions & { opened: OpenedData },
): Promise<TrainingTask> {
  if (config.task === "grpo") {
    const { set: dataset } = opened;
    return openGrpo(model, processor, config, { events, rewards, dataset, rollouts });
  }
  const { eval_data: asked } = config.sft;
  const context = { split: "held-out", questions: null, answered: true, events } as const;
  const heldOut = asked === null ? undefined : await openData(asked, context);
  return openSft(model, processor, config, { opened, heldOut, events });
}
