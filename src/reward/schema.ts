import { z } from "zod";

/** Rewards that a configuration can name. */
export const REWARDS = ["format", "correct", "random"] as const;

/** What each reward is, as a phrase for the reference and for model cards. */
export const REWARD_DOCS: Record<(typeof REWARDS)[number], string> = {
  format: "1 if the whole pattern of thought and answer is there",
  correct: "1 if the pattern is there and the answer is right",
  random: "a fair coin, as a control",
};

/** One reward and its weight in the sum. */
export const rewardSchema = z.strictObject({
  name: z
    .enum(REWARDS)
    .describe(`${REWARDS.map((name) => `\`${name}\`: ${REWARD_DOCS[name]}`).join("; ")}.`),
  weight: z.number().default(1).describe("Factor of this reward in the sum."),
});

/** The weighted rewards of a run. */
export const rewardsSchema = z
  .array(rewardSchema)
  .min(1, "GRPO needs at least one reward")
  .default([
    { name: "format", weight: 0.2 },
    { name: "correct", weight: 0.8 },
  ])
  .describe("Named rewards; a completion's reward is their weighted sum.");

/** One reward and its weight, checked. */
export type RewardConfig = z.output<typeof rewardSchema>;
