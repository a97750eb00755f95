import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { learningRateAt, totalStepsOf, type ScheduleSettings } from "../../src/train/schedule.ts";

interface Golden {
  total: number;
  cases: { settings: Partial<ScheduleSettings>; rates: number[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../golden/train/schedules.json", import.meta.url), "utf8"),
) as Golden;

describe("learning rate schedules", () => {
  it.each(golden.cases)("$settings is transformers'", ({ settings, rates }) => {
    const whole = { min_lr_ratio: 0, lr_decay_steps: 0, ...settings } as ScheduleSettings;
    const warmup = whole.lr_scheduler_type === "constant" ? 0 : whole.warmup_steps;
    for (let step = 0; step < golden.total; step++) {
      const rate = learningRateAt(whole, step, golden.total);
      if (step < warmup) {
        // transformers lifts this schedule's warm-up by the floor; the rise here starts from 0.
        if (whole.min_lr_ratio > 0) expect(rate).toBeLessThanOrEqual(rates[step + 1]! + 1e-18);
        else expect(rate / rates[step + 1]!).toBeCloseTo(1, 14);
      } else expect(rate / rates[step]!).toBeCloseTo(1, 14);
    }
  });

  it.each([
    // GRPOTrainer's RepeatSampler and transformers' Trainer count whole batches only.
    [{ num_train_epochs: 3, prompts_per_step: 16 }, 4000, 750],
    [{ num_train_epochs: 1, prompts_per_step: 16 }, 47, 2],
    [{ num_train_epochs: 2.5, prompts_per_step: 4 }, 13, 8],
    [{ num_train_epochs: 1, prompts_per_step: 16 }, 3, 1],
    [{ num_train_epochs: 0.1, prompts_per_step: 2 }, 8, 1],
    [{ num_train_epochs: 9, prompts_per_step: 2, max_steps: 5 }, 8, 5],
  ])("%j of %i rows are %i steps", (settings, rows, steps) => {
    expect(totalStepsOf({ max_steps: null, ...settings }, rows)).toBe(steps);
  });

  it("never wastes the first step on a rate of 0 and ends at its floor", () => {
    const settings: ScheduleSettings = {
      lr_scheduler_type: "cosine",
      learning_rate: 1,
      warmup_steps: 10,
      min_lr_ratio: 0.05,
      lr_decay_steps: 0,
    };
    expect(learningRateAt(settings, 0, 120)).toBe(0.1);
    expect(learningRateAt(settings, 9, 120)).toBe(1);
    expect(learningRateAt(settings, 120, 120)).toBeCloseTo(0.05, 15);
    expect(learningRateAt(settings, 500, 120)).toBeCloseTo(0.05, 15);
  });
});
