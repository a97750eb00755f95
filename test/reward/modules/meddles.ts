import type { Completion, RewardRow } from "../../../src/reward/reward.ts";

/** A reward that writes into what it is given, as its completion says. */
export const reward = {
  name: "meddles",
  score({ text, ids }: Completion, row: RewardRow): number {
    if (text === "row") Object.assign(row, { answer: "mine" });
    if (text === "options") (row.options as string[]).push("mine");
    if (text === "ids") (ids as number[]).length = 0;
    return text === "number" ? Number.NaN : 1;
  },
};
