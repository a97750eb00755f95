import { z } from "zod";

/** Rewards that a configuration can name. */
export const REWARDS = ["format", "correct", "random"] as const;

/** One reward and its weight in the sum. */
export const rewardSchema = z.strictObject({
  name: z
    .enum(REWARDS)
    .describe(
      "`format`: 1 if the whole pattern is there; `correct`: 1 if it is and the answer is right; " +
        "`random`: a fair coin, as a control.",
    ),
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
