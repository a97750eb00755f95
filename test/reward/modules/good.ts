import { defineReward } from "../../../src/reward/reward.ts";

/** A reward that takes its time. */
export const reward = defineReward("short-and-right", async ({ text }, row) => {
  await Promise.resolve();
  if (text === "throw") throw new Error("it was asked to throw");
  if (text === "nan") return Number.NaN;
  return text === row.answer ? 1 : 0;
});
