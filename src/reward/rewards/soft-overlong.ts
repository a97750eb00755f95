import { ConfigError } from "../../core/errors.ts";
import { defineReward, type Reward } from "../reward.ts";

/**
 * Returns a penalty that grows over the last tokens before a length: 0 up to `max - cache` tokens,
 * then linearly down to -1 at `max`, and -1 beyond it. The end token counts. A `ConfigError` where
 * the cache is longer than the limit.
 *
 * Source: Yu et al. 2025 (DAPO), eq. 13; TRL `get_soft_overlong_punishment`.
 */
export function softOverlongReward(options: {
  max_completion_length: number;
  soft_punish_cache: number;
}): Reward {
  const { max_completion_length: max, soft_punish_cache: cache } = options;
  if (cache > max)
    throw new ConfigError(
      "soft-overlong-cache",
      `soft_punish_cache ${cache} of soft-overlong is above max_completion_length ${max}.`,
      { hint: "Choose a cache of at most that many tokens." },
    );
  return defineReward("soft-overlong", ({ ids }) => {
    if (ids.length <= max - cache) return 0;
    return ids.length > max ? -1 : (max - cache - ids.length) / cache;
  });
}
