import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** Options of which words count. */
export interface YesNoOptions {
  /** True when the answer must say one of the two words and not the other. */
  strict?: boolean;
}

/**
 * 1 where answer and right answer both contain "yes", or else both contain "no", in any case and
 * inside other words too; 0 otherwise. So "yes and no" is right for both, and "unknown" is a no.
 * With `strict`, words are whole and naming both is wrong. The answer is the first block.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `judge` (9bf0e6f, 2025-07-01).
 */
export function yesNoReward({ strict = false }: YesNoOptions = {}): Reward {
  const found = strict
    ? (text: string, word: string) =>
        new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, "u").test(text)
    : (text: string, word: string) => text.includes(word);
  return defineReward("yes-no", ({ text }, row) => {
    const said = (firstBlock(text, "answer") ?? "").toLowerCase();
    const gold = goldOf(row).toLowerCase();
    if (strict && found(said, "yes") && found(said, "no")) return 0;
    return ["yes", "no"].some((word) => found(gold, word) && found(said, word)) ? 1 : 0;
  });
}
