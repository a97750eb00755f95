import { splitWords } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/**
 * 1 minus the word error rate, 0 to 1: edits that turn the right words into the answer's, over the
 * number of right words. Words are parted by white space; case and punctuation count. The answer is
 * the first block; without one it is empty.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `accuracy_reward`, type "OCR"
 * (9bf0e6f, 2025-07-01); the same in Video-R1.
 */
export const ocrReward: Reward = defineReward("ocr", ({ text }, row) => {
  const right = splitWords(goldOf(row));
  const count = Math.max(1, right.length);
  // Each word more than there should be is an edit, so twice as many words leave nothing.
  const said = splitWords(firstBlock(text, "answer") ?? "", 2 * count);
  if (said.length >= right.length + count) return 0;
  return Math.max(0, 1 - editDistance(right, said) / count);
});

/** Levenshtein distance between lists of words. */
function editDistance(from: readonly string[], to: readonly string[]): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  from.forEach((word, i) => {
    const next = [i + 1];
    to.forEach((other, j) => {
      const kept = row[j]! + (word === other ? 0 : 1);
      next.push(Math.min(kept, row[j + 1]! + 1, next[j]! + 1));
    });
    row = next;
  });
  return row.at(-1)!;
}
