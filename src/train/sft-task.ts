import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { openDataset } from "../data/tiny/open.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import type { AdamW } from "./optimizer.ts";
import type { RunSettings } from "../run/run-interface.ts";
import { SftTrainer } from "./sft.ts";
import type { Cursor, TrainingTask } from "./task.ts";

/** Supervised training as a task of the training loop: stages in turn, a fresh optimizer each. */
export class SftTask implements TrainingTask {
  readonly totalSteps: number;
  readonly #trainer: SftTrainer;
  readonly #settings: RunSettings;

  /** Makes all clips, from which every step draws with replacement. */
  static async create(
    model: Model,
    processor: Processor,
    settings: RunSettings,
    events: Events,
  ): Promise<SftTask> {
    const { data, train } = settings;
    if (data.name !== "tiny") {
      throw new ConfigError("no-sft-data", `task is sft, which ${data.name} has no data for.`, {
        hint: "Set data.name to tiny, or task to grpo.",
      });
    }
    const all = Array.from({ length: data.clips }, (_, index) => index);
    const dataset = await openDataset("train", data, all, data.folder, events);
    const trainer = await SftTrainer.create({
      ...{ model, processor, dataset, events },
      clipSeed: data.seed,
      seed: train.seed,
      maxTokensPerPass: train.max_tokens_per_pass,
      gradientCheckpointing: train.gradient_checkpointing,
      optimizer: train,
    });
    return new SftTask(settings, trainer);
  }

  private constructor(settings: RunSettings, trainer: SftTrainer) {
    this.#settings = settings;
    this.#trainer = trainer;
    this.totalSteps = settings.sft.stages.reduce((sum, { steps }) => sum + steps, 0);
  }

  /** The optimizer of the current stage. */
  get optimizer(): AdamW {
    return this.#trainer.optimizer;
  }

  /** One supervised step; the cursor's stage moves on when a stage's steps are done. */
  async step(cursor: Cursor): Promise<{ metrics: Record<string, number>; tokens: number }> {
    const { stages } = this.#settings.sft;
    const stage = stages[cursor.stage]!;
    const before = stages.slice(0, cursor.stage).reduce((sum, { steps }) => sum + steps, 0);
    const done = await this.#trainer.step(stage, cursor.step - before, cursor.draw);
    cursor.step++;
    cursor.draw++;
    cursor.samplesConsumed += stage.clips_per_step;
    if (cursor.step - before === stage.steps && cursor.stage < stages.length - 1) {
      // Now, not with the next step: a checkpoint between the two holds the next stage's optimizer.
      cursor.stage++;
      await this.#trainer.startStage();
    }
    const { loss, gradNorm, learningRate, tokens, parts } = done;
    const metrics: Record<string, number> = {
      ...{ loss, grad_norm: gradNorm, learning_rate: learningRate },
    };
    for (const [part, value] of Object.entries(parts)) metrics[`sft/${part}`] = value;
    return { tokens, metrics };
  }
}
