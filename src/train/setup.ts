import { prepareClips } from "#clips";
import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import { TinyDataset, type Split, type TinyRow } from "../data/tiny/dataset.ts";
import { openDevice, type Device } from "../gpu/device.ts";
import type { Tier } from "../gpu/capabilities.ts";
import { OmniModel } from "../models/qwen2-5-omni/model.ts";
import { Processor } from "../models/qwen2-5-omni/processor.ts";
import { trains } from "../models/qwen2-5-omni/tuning.ts";
import { formatReward } from "../reward/format.ts";
import { letterReward } from "../reward/letter.ts";
import { randomReward } from "../reward/random.ts";
import type { Reward, WeightedReward } from "../reward/reward.ts";
import type { TokenFacts } from "../rollout/generator.ts";
import type { RunSettings } from "./run-interface.ts";

/** Opens the device that a configuration asks for and reports what it is. */
export async function openRunDevice(settings: RunSettings, events: Events): Promise<Device> {
  const { tier } = settings.device;
  const device = await openDevice(tier === "auto" ? {} : { tier: tier.toLowerCase() as Tier });
  const { adapter, software, tier: used } = device.capabilities;
  const kind = software ? "software" : "GPU";
  report(events, "device", { adapter, kind, tier: used.toUpperCase() });
  return device;
}

/** Loads the model that a run trains, from a checkpoint or with new weights. */
export async function loadRunModel(device: Device, settings: RunSettings): Promise<OmniModel> {
  const { model, train } = settings;
  const training = { trains: (name: string) => trains(name, train) };
  if (model.init === "random") {
    return OmniModel.initialise(device, model.path, train.seed, training);
  }
  return OmniModel.load(device, model.path, training);
}

/** What generation needs to know of a processor's tokenizer. */
export function tokenFacts(processor: Processor): TokenFacts {
  const { eosIds, padId, placeholderIds, tokenizer } = processor;
  return { eosIds, padId, placeholderIds, vocabSize: tokenizer.vocabSize };
}

/** The weighted rewards of a configuration. */
export function runRewards(settings: RunSettings): WeightedReward<TinyRow>[] {
  const byName: Record<string, Reward> = {
    format: formatReward,
    correct: letterReward,
    random: randomReward(settings.train.seed),
  };
  return settings.rewards.map(({ name, weight }) => ({ reward: byName[name]!, weight }));
}

/** A data set whose clips are on disk. */
export async function openDataset(
  split: Split,
  source: { seed: number; clips: number; kinds?: RunSettings["data"]["kinds"] },
  used: readonly number[],
  folder: string,
  events: Events,
): Promise<TinyDataset> {
  const { seed, clips, kinds } = source;
  const media = await prepareClips({ folder, seed, indices: used, events });
  return new TinyDataset({ split, clips, folder: media, seed, ...(kinds && { kinds }) });
}

/** The held-out questions of a run, in their order. */
export async function heldOutRows(settings: RunSettings, events: Events): Promise<TinyRow[]> {
  const { seed, questions } = settings.eval;
  const indices = Array.from({ length: questions }, (_, i) => i);
  const source = { seed, clips: questions };
  const set = await openDataset("held-out", source, indices, settings.data.folder, events);
  return indices.map((index) => set.row(index));
}

/**
 * Checks every row against the model's context before training starts.
 *
 * Rows of the tiny task are alike, so the first one speaks for all.
 *
 * @throws {DataError} `prompt-over-budget` that names the row and what would fit.
 */
export async function checkBudget(
  loader: SampleLoader,
  processor: Processor,
  row: TinyRow,
  settings: RunSettings,
): Promise<void> {
  const sample = await loader.load(row);
  const { max_completion_length: completion } = settings.rollout;
  const { num_generations: group, max_tokens_per_pass: budget } = settings.train;
  const prompt = sample.inputIds.length;
  const context = processor.config.text.maxPositions;
  if (sample.nextPos + completion > context) {
    throw new ConfigError(
      "prompt-over-context",
      `${row.id} ends at position ${sample.nextPos}; with ${completion} new tokens it passes the model's ${context}.`,
      { hint: `Set rollout.max_completion_length to at most ${context - sample.nextPos}.` },
    );
  }
  const tree = prompt + group * (completion - 1);
  if (settings.task === "grpo" && tree > budget) {
    throw new ConfigError(
      "group-over-budget",
      `one group of ${row.id} takes ${tree} tokens (prompt ${prompt}, ${group} x ${completion - 1}); train.max_tokens_per_pass is ${budget}.`,
      { hint: `Set train.max_tokens_per_pass to at least ${tree}.` },
    );
  }
}
