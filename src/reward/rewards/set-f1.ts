import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldText } from "../gold-text.ts";

/** Options of which items are equal. */
export interface SetF1Options {
  /** True when white space around items is forgiven; the source's "B, C" does not equal "B,C". */
  strip?: boolean;
}

/**
 * F1 of the items that commas part, 0 to 1: items in both sets over the length of each list, so that
 * saying an item twice costs precision. The answer is the first block; without one it is empty.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `emer_ov_mc` (9bf0e6f, 2025-07-01).
 *
 * @throws {DataError} `gold-empty` when the row's answer is empty, as an empty completion is.
 */
export function setF1Reward({ strip: trims = false }: SetF1Options = {}): Reward {
  const bare = (item: string): string => (trims ? strip(item) : item);
  return defineReward("set-f1", ({ text }, row) => {
    const right = [...items(goldText(row))].map(bare).filter((item) => !trims || item !== "");
    const rightSet = new Set(right);
    const shared = new Set<string>();
    let count = 0;
    for (const said of items(strip(firstBlock(text, "answer") ?? ""))) {
      const item = bare(said);
      if (trims && item === "") continue;
      count++;
      if (rightSet.has(item)) shared.add(item);
    }
    if (shared.size === 0) return 0;
    const [precision, recall] = [shared.size / right.length, shared.size / count];
    return (2 * (precision * recall)) / (precision + recall);
  });
}

/**
 * Yields the items that commas part, one after the other: a long text has more items than a list
 * should.
 */
function* items(text: string): Generator<string> {
  let start = 0;
  for (let end = text.indexOf(","); end >= 0; end = text.indexOf(",", start)) {
    yield text.slice(start, end);
    start = end + 1;
  }
  yield text.slice(start);
}
