import { goldWords } from "../answer/gold.ts";
import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstLineBlock } from "../../text/tags.ts";
import { goldText } from "../gold-text.ts";

/**
 * 1 where the answer is exactly the words of the right option, 0 otherwise. The answer is what the
 * first `<answer>(.*?)</answer>` on one line holds, or the whole text where there is none; both sides
 * are stripped of white space. Case and full stops count.
 *
 * Where the row's answer is a letter, its option's words are meant. Where every option bears its
 * letter, the words are right with it, as the prompt shows them, and without.
 *
 * Source: wenet-e2e/west GRPO example and xiaomi-research/r1-aqa `src/utils/rewards.py`,
 * `accuracy_reward` (5d24f31, 2025-03-29), without the step through math_verify that r1-aqa takes
 * before it.
 *
 * @throws {DataError} `gold-empty` when the row's answer is empty, as an empty completion is.
 */
export const optionTextReward: Reward = defineReward("option-text", ({ text }, row) => {
  goldText(row);
  return goldWords(row).includes(strip(firstLineBlock(text, "answer") ?? text)) ? 1 : 0;
});
