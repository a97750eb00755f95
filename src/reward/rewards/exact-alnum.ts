import { defineReward, type Reward } from "../reward.ts";
import { firstBlock, widestBlock } from "../../text/tags.ts";
import { emptyGold } from "../gold-text.ts";

/** Options of which text is compared. */
export interface ExactAlnumOptions {
  /**
   * True when the whole text is the answer where the tag is missing; the default is that nothing
   * is.
   */
  fallback?: boolean;
}

/**
 * 1 where the answer and the right answer are equal once everything but letters and numbers is gone
 * and case is folded, 0 otherwise. The answer is what `<answer>([\s\S]*)</answer>` holds, first
 * opening tag to last closing tag, so two blocks run together and do not match one letter.
 *
 * Letters and numbers are those of Unicode: a Cyrillic or fullwidth letter is not the Latin one.
 *
 * Source: NVIDIA-NeMo/RL `nemo_rl/environments/rewards.py`, `exact_answer_alphanumeric_reward`
 * (7ea279abf, 2026-08-22); `fallback` is the variant of pull request 2823 that was taken out again.
 *
 * @throws {DataError} `gold-empty` when the row's answer has neither, which any punctuation equals.
 */
export function exactAlnumReward({ fallback = false }: ExactAlnumOptions = {}): Reward {
  return defineReward("exact-alnum", ({ text }, row) => {
    const gold = firstBlock(row.answer, "answer") ?? row.answer;
    if (!/[\p{L}\p{N}]/u.test(gold)) throw emptyGold(row, "no letter or number");
    const answer = widestBlock(text, "answer") ?? (fallback ? text : undefined);
    if (answer === undefined) return 0;
    const right = alnum(gold);
    return alnum(answer, right.length) === right ? 1 : 0;
  });
}

/** Letters and numbers in lower case; what follows the first run that passes `most` is left out. */
function alnum(text: string, most = Infinity): string {
  let kept = "";
  for (const [run] of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    kept += run;
    if (kept.length > most) break;
  }
  // All at once: the lower case of a sigma depends on whether a letter follows it.
  return kept.toLowerCase();
}
