import { expect, it } from "vitest";
import { changedSettings, checkResumable, scheduleChange } from "../../src/config/compare.ts";
import { runSchema } from "../../src/config/schema.ts";

const base = { model: { path: "m" } };

it("lists what changed, leaf by leaf", () => {
  const before = runSchema.parse({ ...base, train: { lora: { r: 4 } } });
  const after = runSchema.parse({ ...base, train: { beta: 0.1 }, rewards: [{ name: "random" }] });
  expect(changedSettings(before, after)).toEqual([
    { path: "rewards.0.name", before: "format", after: "random" },
    { path: "rewards.0.weight", before: 0.2, after: 1 },
    { path: "rewards.1", before: { name: "correct", weight: 0.8 }, after: undefined },
    { path: "train.beta", before: 0, after: 0.1 },
    { path: "train.lora", before: before.train.lora, after: null },
  ]);
  expect(changedSettings(before, before)).toEqual([]);
});

it("resumes a longer run, but not another one", () => {
  const before = runSchema.parse(base);
  const longer = runSchema.parse({ ...base, train: { max_steps: 900 }, eval: { questions: 9 } });
  const saved = runSchema.parse({ ...base, train: { save_minutes: 5, save_steps: 7 } });
  for (const free of [longer, saved]) {
    expect(() => checkResumable(before, free, "runs/x")).not.toThrow();
  }
  const other = runSchema.parse({ ...base, train: { learning_rate: 1 } });
  expect(() => checkResumable(before, other, "runs/x")).toThrow(
    "runs/x cannot be resumed: train.learning_rate was 0.000001 and is now 1.",
  );
});

it("says that another length is another falling learning rate", () => {
  const of = (train: object) => runSchema.parse({ ...base, train });
  expect(scheduleChange(of({ max_steps: 60 }), of({ max_steps: 90 }))).toBe(
    "train.max_steps was 60 and is now 90: from here on the learning rate of lr_scheduler_type " +
      "linear is that of a run of 90 steps, which the steps so far were not.",
  );
  expect(scheduleChange(of({ max_steps: 60 }), of({ max_steps: 60 }))).toBeUndefined();
  expect(scheduleChange(of({ num_train_epochs: 1 }), of({ num_train_epochs: 2 }))).toMatch(
    /^train\.num_train_epochs was 1 and is now 2: .* of a run of 2 epochs, which/,
  );
  expect(scheduleChange(of({}), of({ max_steps: 60 }))).toMatch(
    /^train\.num_train_epochs was 3 and train\.max_steps is 60: .* of a run of 60 steps, which/,
  );
  const steady = { lr_scheduler_type: "constant_with_warmup" };
  expect(
    scheduleChange(of({ ...steady, max_steps: 6 }), of({ ...steady, max_steps: 9 })),
  ).toBeUndefined();
  const beta = { ...steady, beta: 0.1, beta_schedule: "humanomni_v2" };
  expect(scheduleChange(of({ ...beta, max_steps: 6 }), of({ ...beta, max_steps: 9 }))).toContain(
    "from here on beta of beta_schedule humanomni_v2 is that of a run of 9 steps",
  );
});
