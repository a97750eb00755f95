import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { eachOnce, findJoin } from "../../text/tags.ts";

/** Options of how strict the whole pattern is. */
export interface FormatThinkAnswerOptions {
  /** True when white space around the completion is forgiven; the default. */
  strip?: boolean;
  /**
   * True when every tag must stand there once; the source's pattern lets blocks hold further tags.
   */
  once?: boolean;
}

/**
 * 1 where the whole text is `<think>.*?</think>\s*<answer>.*?</answer>`, dots matching line feeds
 * too; 0 otherwise. A block may be empty and, without `once`, may hold further tags.
 *
 * Source: ChristianLin0420/Qwen2.5-VL-Video `qwenvl/train/grpo_trainer.py`, `compute_format_reward`
 * (db6a44e, 2025-06-04), which strips the text; Video-R1, Ke-Omni-R and EasyR1 match it unstripped.
 */
export function formatThinkAnswerReward(options: FormatThinkAnswerOptions = {}): Reward {
  const { strip: trims = true, once = false } = options;
  return defineReward("format-think-answer", ({ text: raw }) => {
    const text = trims ? strip(raw) : raw;
    const [opening, closing] = ["<think>", "</answer>"];
    if (!text.startsWith(opening) || !text.endsWith(closing)) return 0;
    const join = findJoin(text, "think", "answer", opening.length);
    if (join === undefined || join.end > text.length - closing.length) return 0;
    return once && !eachOnce(text, ["think", "answer"]) ? 0 : 1;
  });
}
