import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";

/**
 * Partial credit: 0.3 where `<think>.*?</think>` is found, 0.3 where `<answer>.*?</answer>` is
 * found, 0.4 where an answer block begins after a thought block has ended. Dots match line feeds.
 * Range: 0, 0.3, 0.6 or 1.
 *
 * Source: README and GRPO guide of ChristianLin0420/Qwen2.5-VL-Video (db6a44e, 2025-06-04). Its code
 * gives 1 or 0 for the whole pattern instead, which is `format-think-answer`.
 */
export const formatPartsReward: Reward = defineReward("format-parts", ({ text }) => {
  const thought = firstBlock(text, "think") !== undefined;
  const answer = firstBlock(text, "answer") !== undefined;
  if (!thought || !answer) return thought || answer ? 0.3 : 0;
  const end = text.indexOf("</think>", text.indexOf("<think>"));
  return firstBlock(text.slice(end), "answer") === undefined ? 0.6 : 1;
});
