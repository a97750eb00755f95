import { strip } from "./python.ts";
import { defineReward, type Reward } from "./reward.ts";
import { firstBlock, goldOf } from "./tags.ts";

/** Numbers in brackets, as `(3)`: the names of actions. */
const ACTION = /\((\d+)\)/g;

function actionsOf(text: string): string[] {
  return Array.from(text.matchAll(ACTION), (match) => match[1]!);
}

function plain(text: string): string {
  return text.replaceAll(/[ _]/g, "").toLowerCase();
}

/** What a completion says: its first answer block, or all of it. */
function saidIn(text: string): string {
  return strip(firstBlock(text, "answer") ?? text);
}

function sameText(said: string, gold: string): boolean {
  return plain(gold) !== "" && plain(said) === plain(gold);
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
  const right = actionsOf(gold).sort();
  if (right.length > 0 && right.join() === actionsOf(said).sort().join()) return 1;
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
