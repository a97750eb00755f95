import { defineReward, type Reward } from "../reward.ts";
import { eachOnce, widestBlock } from "../../text/tags.ts";

/** Options of how tags are counted. */
export interface FormatTagsOptions {
  /** True when tags must open and close once each to count; the source lets them repeat. */
  once?: boolean;
}

/**
 * Partial credit for tags: 0.25 where `<think>[\s\S]*</think>` is found and 0.75 where
 * `<answer>[\s\S]*</answer>` is found, in any order, with any text around them. Range: 0, 0.25,
 * 0.75 or 1.
 *
 * Source: NVIDIA-NeMo/RL `nemo_rl/environments/rewards.py`, `format_reward` (7ea279abf, 2026-08-22).
 */
export function formatTagsReward({ once = false }: FormatTagsOptions = {}): Reward {
  const has = (text: string, tag: string): boolean =>
    widestBlock(text, tag) !== undefined && (!once || eachOnce(text, [tag]));
  return defineReward(
    "format-tags",
    ({ text }) => (has(text, "think") ? 0.25 : 0) + (has(text, "answer") ? 0.75 : 0),
  );
}
