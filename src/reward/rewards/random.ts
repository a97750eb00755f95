import { hash32, Random } from "../../core/random.ts";
import { defineReward, type Reward } from "../reward.ts";

/**
 * A fair coin for each completion: the control that shows what training does without a signal.
 *
 * The coin depends on (seed, row, draw, place in the group) only, not on the order of scoring.
 */
export function randomReward(seed: number): Reward {
  return defineReward("random", ({ draw, index }, row) => {
    const place = new Random(seed, "data", hash32(row.id), hash32(`${draw}/${index}`));
    return place.integer(2);
  });
}
