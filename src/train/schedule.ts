import type { ScheduleName } from "./schema.ts";

/** A learning rate over time, in the fields of a configuration. */
export interface ScheduleSettings {
  lr_scheduler_type: ScheduleName;
  /** Peak learning rate. */
  learning_rate: number;
  /** Optimizer steps of linear rise. */
  warmup_steps: number;
  /** Rate at the end as a fraction of the peak. */
  min_lr_ratio: number;
  /** Optimizer steps of the final fall (`warmup_stable_decay`). */
  lr_decay_steps: number;
}

/**
 * Returns the optimizer steps of a GRPO run: `max_steps` where it is set, or else the steps of its
 * epochs, rounded up. An epoch has a step for each whole batch of prompts, one at least.
 *
 * Source: transformers Trainer.set_initial_training_values, with the sampler of TRL's GRPOTrainer,
 * which drops the last batch of an epoch where it is not whole.
 */
export function totalStepsOf(
  settings: { max_steps: number | null; num_train_epochs: number; prompts_per_step: number },
  rows: number,
): number {
  const { max_steps: steps, num_train_epochs: epochs, prompts_per_step: prompts } = settings;
  return steps ?? Math.ceil(epochs * Math.max(1, Math.floor(rows / prompts)));
}

function decayFactor(settings: ScheduleSettings, step: number, totalSteps: number): number {
  const { lr_scheduler_type: name, warmup_steps: warmup, lr_decay_steps: decay } = settings;
  switch (name) {
    case "constant":
    case "constant_with_warmup":
      return 1;
    case "linear":
      return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmup));
    case "cosine": {
      const progress = (step - warmup) / Math.max(1, totalSteps - warmup);
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))));
    }
    case "warmup_stable_decay": {
      const into = step - Math.max(warmup, totalSteps - decay);
      return into < 0 ? 1 : Math.max(0, 1 - into / Math.max(1, decay));
    }
  }
}

/**
 * Returns the learning rate of one optimizer step, counted from 0.
 *
 * After the warm-up it is what transformers' `get_scheduler` gives for that step. During the
 * warm-up it is what transformers gives one step later, since transformers spends its first step
 * at rate 0. A floor lifts a falling schedule as `cosine_with_min_lr` does.
 *
 * Numerics: float64.
 */
export function learningRateAt(
  settings: ScheduleSettings,
  step: number,
  totalSteps: number,
): number {
  const { learning_rate: peak, warmup_steps: warmup, min_lr_ratio: floor } = settings;
  if (settings.lr_scheduler_type !== "constant" && step < warmup)
    return (peak * (step + 1)) / warmup;
  const factor = decayFactor(settings, step, totalSteps);
  return peak * (floor + (1 - floor) * factor);
}
