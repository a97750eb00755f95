import { defineGroupReward } from "../../../src/reward/reward.ts";

/** 1 for the shortest completions of a group that are right, by the column that an option names. */
export const reward = ({ column }: { column?: string }) => {
  if (column === undefined) throw new Error("column is missing.");
  return defineGroupReward("shortest-right", (completions, row) => {
    const gold = String((row as unknown as { columns: Record<string, unknown> }).columns[column]);
    const right = completions.filter(({ text }) => text === gold);
    const least = Math.min(...right.map(({ ids }) => ids.length));
    return completions.map(({ text, ids }) =>
      text === "nothing" ? null : Number(text === gold && ids.length === least),
    );
  });
};
