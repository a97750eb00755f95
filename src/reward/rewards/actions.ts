import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** Returns the actions that a text names by numbers in brackets, `\((\d+)\)`, in its order. */
function* actionsOf(text: string): Generator<string> {
  for (let open = text.indexOf("("); open >= 0;) {
    let end = open + 1;
    while (isDigit(text.charCodeAt(end))) end++;
    if (end > open + 1 && text.charAt(end) === ")") yield text.slice(open + 1, end);
    open = text.indexOf("(", end);
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/**
 * Returns a text without spaces, underscores and case; what follows once it passes `most` is left
 * out.
 */
function plain(text: string, most = Infinity): string {
  let kept = "";
  for (let at = 0; at < text.length && kept.length <= most; at++) {
    const unit = text.charAt(at);
    if (unit !== " " && unit !== "_") kept += unit;
  }
  return kept.toLowerCase();
}

/** Returns the answer of a completion: its first answer block, or all of it. */
function saidIn(text: string): string {
  return strip(firstBlock(text, "answer") ?? text);
}

function sameText(said: string, gold: string): boolean {
  const right = plain(gold);
  return right !== "" && plain(said, right.length) === right;
}

/**
 * 1 where the numbers in brackets `\((\d+)\)` of answer and right answer are the same in any order,
 * each as often, and there is one; otherwise 1 where the texts are equal without spaces,
 * underscores and case; else 0. The answer is the first block, or the whole text without one.
 *
 * Source: ChristianLin0420/Qwen2.5-VL-Video `qwenvl/train/grpo_trainer.py`,
 * `compute_accuracy_reward` (db6a44e, 2025-06-04).
 */
export const actionMatchReward: Reward = defineReward("action-match", ({ text }, row) => {
  const [said, gold] = [saidIn(text), goldOf(row)];
  const right = [...actionsOf(gold)].sort();
  const named: string[] = [];
  for (const action of actionsOf(said)) {
    // One more than there should be is enough to differ.
    if (named.push(action) > right.length) break;
  }
  if (right.length > 0 && right.join() === named.sort().join()) return 1;
  return sameText(said, gold) ? 1 : 0;
});

/**
 * The share that the sets of numbers in brackets have in common: intersection over union, 0 to 1.
 * Equal texts, compared as in `action-match`, give 1 where no numbers are named.
 *
 * Source: GRPO guide of ChristianLin0420/Qwen2.5-VL-Video (db6a44e, 2025-06-04), whose code gives no
 * partial credit: that is `action-match`.
 */
export const actionIouReward: Reward = defineReward("action-iou", ({ text }, row) => {
  const [said, gold] = [saidIn(text), goldOf(row)];
  const [named, right] = [new Set(actionsOf(said)), new Set(actionsOf(gold))];
  if (right.size === 0) return sameText(said, gold) ? 1 : 0;
  let shared = 0;
  for (const action of named) if (right.has(action)) shared++;
  return shared / (named.size + right.size - shared);
});
