import { OPTION_LETTERS } from "./format.ts";
import { strip } from "./python.ts";
import { defineReward, type Reward, type RewardRow } from "./reward.ts";
import { firstLineBlock, goldOf } from "./tags.ts";

/**
 * 1 where the answer is exactly the words of the right option, 0 otherwise. The answer is what the
 * first `<answer>(.*?)</answer>` on one line holds, or the whole text where there is none; both sides
 * are stripped of white space. Case and full stops count.
 *
 * Where the row's answer is a letter, its option's words are meant, without the letter before them.
 *
 * Source: wenet-e2e/west GRPO example and xiaomi-research/r1-aqa `src/utils/rewards.py`,
 * `accuracy_reward` (5d24f31, 2025-03-29), without the step through math_verify that r1-aqa takes
 * before it.
 */
export const optionTextReward: Reward = defineReward("option-text", ({ text }, row) =>
  strip(firstLineBlock(text, "answer") ?? text) === optionWords(row) ? 1 : 0,
);

/** The words of a row's right option. */
export function optionWords(row: RewardRow): string {
  const gold = goldOf(row);
  const option = gold.length === 1 ? row.options?.[OPTION_LETTERS.indexOf(gold)] : undefined;
  if (option === undefined || row.options!.includes(gold)) return gold;
  return strip(option.replace(new RegExp(`^\\s*\\(?${gold}[.):]\\s*`), ""));
}
