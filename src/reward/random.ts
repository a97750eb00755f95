import { Random } from "../core/random.ts";
import { defineReward, type Reward } from "./reward.ts";

/**
 * A fair coin for each completion: the control that shows what training does without a signal.
 *
 * The coin depends on (seed, row, draw, place in the group) only, not on the order of scoring.
 */
export function randomReward(seed: number): Reward {
  return defineReward("random", ({ draw, index }, row) => {
    const place = new Random(seed, "data", hash(row.id), hash(`${draw}/${index}`));
    return place.integer(2);
  });
}

/** FNV-1a over UTF-16 units (Fowler, Noll and Vo, draft-eastlake-fnv). */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}
