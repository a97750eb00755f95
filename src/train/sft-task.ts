import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { openDataset } from "../datasets/tiny/open.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import type { AdamW } from "./optimizer.ts";
import { SftTrainer } from "./sft.ts";
import type { Cursor, StepResult, TaskSettings, TrainingTask } from "./task.ts";

/** Supervised training as a task of the training loop: stages in turn, a fresh optimizer each. */
export class SftTask implements TrainingTask {
  readonly totalSteps: number;
  readonly #trainer: SftTrainer;
  readonly #settings: TaskSettings;

  /** Makes all clips, from which every step draws with replacement. */
  static async create(
    model: Model,
    processor: Processor,
    settings: TaskSettings,
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

  private constructor(settings: TaskSettings, trainer: SftTrainer) {
    this.#settings = settings;
    this.#trainer = trainer;
    this.totalSteps = settings.sft.stages.reduce((sum, { steps }) => sum + steps, 0);
  }

  /** The optimizer of the current stage. */
  get optimizer(): AdamW {
    return this.#trainer.optimizer;
  }

  /** Does one supervised step; the stage moves on when its steps are done. */
  async step(cursor: Cursor): Promise<StepResult> {
    const { stages } = this.#settings.sft;
    const stage = stages[cursor.stage]!;
    const before = stages.slice(0, cursor.stage).reduce((sum, { steps }) => sum + steps, 0);
    const done = await this.#trainer.step(stage, cursor.step - before, cursor.draw);
    const step = cursor.step + 1;
    const over = step - before === stage.steps && cursor.stage < stages.length - 1;
    // Now, not with the next step: a checkpoint between the two holds the next stage's optimizer.
    if (over) await this.#trainer.startStage();
    const { loss, gradNorm, learningRate, tokens, parts } = done;
    const metrics: Record<string, number> = {
      ...{ loss, grad_norm: gradNorm, learning_rate: learningRate },
    };
    for (const [part, value] of Object.entries(parts)) metrics[`sft/${part}`] = value;
    return {
      ...{ tokens, metrics },
      cursor: {
        ...{ ...cursor, step, draw: cursor.draw + 1 },
        stage: over ? cursor.stage + 1 : cursor.stage,
        samplesConsumed: cursor.samplesConsumed + stage.clips_per_step,
      },
    };
  }

  /** Frees optimizer and plans; a second time does nothing. */
  destroy(): void {
    this.#trainer.destroy();
  }
}
