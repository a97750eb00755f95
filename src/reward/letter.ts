import { strictLetter } from "./format.ts";
import { defineReward } from "./reward.ts";

/**
 * 1 for the right letter in the whole pattern of `formatReward`, 0 otherwise.
 *
 * A reward to train on. To measure, use `accuracyReward`, which does not depend on the format.
 */
export const letterReward = defineReward("correct", (completion, row) =>
  strictLetter(completion, row) === row.answer ? 1 : 0,
);
