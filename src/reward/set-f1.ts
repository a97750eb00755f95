import { strip } from "./python.ts";
import { defineReward, type Reward } from "./reward.ts";
import { firstBlock, goldOf } from "./tags.ts";

/** What changes which items are equal. */
export interface SetF1Options {
  /** Whether white space around items is forgiven; the source's "B, C" does not equal "B,C". */
  strip?: boolean;
}

/**
 * F1 of the items that commas part, 0 to 1: items in both sets over the length of each list, so that
 * saying an item twice costs precision. The answer is the first block; without one it is empty.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `emer_ov_mc` (9bf0e6f, 2025-07-01).
 */
export function setF1Reward({ strip: trims = false }: SetF1Options = {}): Reward {
  const items = (text: string): string[] => {
    const parts = text.split(",");
    return trims ? parts.map(strip).filter((part) => part !== "") : parts;
  };
  return defineReward("set-f1", ({ text }, row) => {
    const right = items(goldOf(row));
    const said = items(strip(firstBlock(text, "answer") ?? ""));
    const rightSet = new Set(right);
    let shared = 0;
    for (const item of new Set(said)) if (rightSet.has(item)) shared++;
    if (shared === 0) return 0;
    const [precision, recall] = [shared / right.length, shared / said.length];
    return (2 * (precision * recall)) / (precision + recall);
  });
}
