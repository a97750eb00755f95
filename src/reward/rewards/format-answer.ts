import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { eachOnce } from "../../text/tags.ts";

/** Options of how strict the pattern is. */
export interface FormatAnswerOptions {
  /** True when white space around the completion is forgiven; the default is not. */
  strip?: boolean;
  /**
   * True when the tag must stand there once; the source's pattern lets the block hold further tags.
   */
  once?: boolean;
}

/**
 * 1 where the whole text is `<answer>.*?</answer>`, dots matching line feeds too; 0 otherwise.
 *
 * Source: xiaomi-research/r1-aqa `src/utils/rewards.py`, `format_reward` (5d24f31, 2025-03-29), the
 * same in wenet-e2e/west; west's variant with exactly one tag is `once`, Qwen2.5-VL-Video's
 * `no_think` form is `strip`.
 */
export function formatAnswerReward(options: FormatAnswerOptions = {}): Reward {
  const { strip: trims = false, once = false } = options;
  const [opening, closing] = ["<answer>", "</answer>"];
  return defineReward("format-answer", ({ text: raw }) => {
    const text = trims ? strip(raw) : raw;
    if (text.length < opening.length + closing.length) return 0;
    if (!text.startsWith(opening) || !text.endsWith(closing)) return 0;
    return once && !eachOnce(text, ["answer"]) ? 0 : 1;
  });
}
