/** What divides the centred reward: the deviation of its group, of the whole batch, or nothing. */
export type RewardScaling = "group" | "batch" | "none";

/** The advantages of a batch of groups, and what they were made of. */
export interface Advantages {
  /** [groups * groupSize], in the order of the rewards; 0 where the reward is NaN. */
  advantages: Float64Array;
  /** [groups] mean of the rewards that apply; NaN for a group without any. */
  groupMean: Float64Array;
  /** [groups] standard deviation (n - 1) of the rewards that apply; 0 with fewer than two. */
  groupStd: Float64Array;
  /** Fraction of groups whose rewards are all equal: they teach nothing. */
  zeroStdFraction: number;
}

/** What TRL adds to the standard deviation before it divides by it. */
const DEVIATION_OFFSET = 1e-4;

interface Spread {
  mean: number;
  std: number;
  /** True when no two rewards that apply differ. */
  level: boolean;
}

function spreadOf(rewards: Float64Array): Spread {
  const valid = rewards.filter((reward) => !Number.isNaN(reward));
  const count = valid.length;
  if (count === 0) return { mean: NaN, std: 0, level: true };
  // Rounding must not turn equal rewards into advantages, so equality is asked before any sum.
  if (valid.every((reward) => reward === valid[0])) return { mean: valid[0]!, std: 0, level: true };
  const mean = valid.reduce((sum, reward) => sum + reward, 0) / count;
  const squares = valid.reduce((sum, reward) => sum + (reward - mean) ** 2, 0);
  return { mean, std: Math.sqrt(squares / (count - 1)), level: false };
}

/**
 * Turns rewards into advantages relative to their group.
 *
 * A group is `groupSize` neighbours. A NaN reward says that no reward applied: the completion is
 * left out of mean and deviation and gets 0. Equal rewards give exactly 0, whatever the scaling.
 *
 * Numerics: float64. (r - mean) / (std + 1e-4) with std over n - 1, or r - mean for `none`.
 *
 * @throws {RangeError} when the rewards are not whole groups of at least two.
 *
 * Source: TRL `GRPOTrainer._generate_and_score_completions`; Shao et al. 2024 (GRPO), Liu et al.
 * 2025 (Dr. GRPO) for `none`.
 */
export function computeAdvantages(
  rewards: ArrayLike<number>,
  groupSize: number,
  scaling: RewardScaling,
): Advantages {
  if (groupSize < 2 || rewards.length === 0 || rewards.length % groupSize !== 0) {
    throw new RangeError(`${rewards.length} rewards are not whole groups of ${groupSize} (>= 2).`);
  }
  const all = Float64Array.from(rewards);
  const groups = all.length / groupSize;
  const result: Advantages = {
    advantages: new Float64Array(all.length),
    groupMean: new Float64Array(groups),
    groupStd: new Float64Array(groups),
    zeroStdFraction: 0,
  };
  const batchStd = spreadOf(all).std;
  let levelGroups = 0;
  for (let group = 0; group < groups; group++) {
    const start = group * groupSize;
    const own = all.subarray(start, start + groupSize);
    const { mean, std, level } = spreadOf(own);
    result.groupMean[group] = mean;
    result.groupStd[group] = std;
    if (level) {
      levelGroups++;
      continue;
    }
    const scale =
      scaling === "none" ? 1 : (scaling === "group" ? std : batchStd) + DEVIATION_OFFSET;
    own.forEach((reward, index) => {
      if (!Number.isNaN(reward)) result.advantages[start + index] = (reward - mean) / scale;
    });
  }
  result.zeroStdFraction = levelGroups / groups;
  return result;
}
