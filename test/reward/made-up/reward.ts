/** A reward with an option of its own, in a folder of its own: how near a number is to the right one. */
import { z } from "zod";
import type { RegisteredReward } from "../../../src/reward/registry.ts";
import { defineReward } from "../../../src/reward/reward.ts";

const options = z.strictObject({
  reach: z.number().positive().default(10).describe("Distance from which on nothing is paid."),
});

export const NEAR: RegisteredReward = {
  doc: "1 for the right number, less the farther the first number is from it",
  measures: "correctness",
  options,
  needsAnswer: () => true,
  make(given) {
    const { reach } = options.parse(given);
    return defineReward("near", ({ text }, row) => {
      const said = /-?\d+/.exec(text);
      if (said === null) return 0;
      return Math.max(0, 1 - Math.abs(Number(said[0]) - Number(row.answer)) / reach);
    });
  },
};

/** The same as a module of a user's own exports it. */
export const reward = NEAR.make({}, { seed: 0 });
