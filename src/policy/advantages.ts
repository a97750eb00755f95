import { spreadOf } from "../core/spread.ts";

/** The divisor of a centred reward: the deviation of its group, of the whole batch, or nothing. */
export type RewardScaling = "group" | "batch" | "none";

/** A rule by which rewards become advantages: see `computeAdvantages`. */
export type AdvantageEstimator = RewardScaling | "loo" | "rloo" | "reinforce++" | "gdpo";

/** Settings of the estimators. */
export interface AdvantageOptions {
  /** [completions] tokens of every completion: the weights of `reinforce++`. */
  lengths?: ArrayLike<number>;
  /** [components][completions] rewards of `gdpo`, NaN where one does not apply. */
  components?: readonly ArrayLike<number>[];
  /** [components] weights of `gdpo`; 1 each when absent. */
  weights?: readonly number[];
  /** Maximum magnitude of an advantage of `loo`; the root of each group's size when absent. */
  limit?: number;
}

/** The advantages of a batch of groups, and what they were made of. */
export interface Advantages {
  /** [completions], in the order of the rewards; 0 where the reward is NaN. */
  advantages: Float64Array;
  /** [groups] mean of the rewards that apply; NaN for a group without any. */
  groupMean: Float64Array;
  /** [groups] standard deviation (n - 1) of the rewards that apply; 0 with fewer than two. */
  groupStd: Float64Array;
  /** Fraction of groups whose rewards are all equal but for rounding: they teach nothing. */
  zeroStdFraction: number;
  /** Advantages that the limit of `loo` cut; 0 for other estimators. */
  limited: number;
}

/** TRL adds this to the standard deviation before it divides by it. */
const DEVIATION_OFFSET = 1e-4;
/** NeMo adds this to its leave-one-out deviation. */
const LEAVE_ONE_OUT_OFFSET = 1e-6;
/** Minimum of the variance that whitening over tokens divides by. */
const WHITENING_FLOOR = 1e-8;

/** Mean and deviation of the rewards that apply. */
interface GroupSpread {
  /** NaN without rewards. */
  mean: number;
  /** 0 with fewer than two. */
  std: number;
  /** True when no two rewards that apply differ by more than rounding. */
  level: boolean;
}

function groupSpread(rewards: Float64Array): GroupSpread {
  const { mean, std, level } = spreadOf(rewards.filter((reward) => !Number.isNaN(reward)));
  return { mean: mean ?? NaN, std: std ?? 0, level };
}

/** The place of a group's completions: from the first on, as many as its size. */
type Group = readonly [first: number, end: number];

/** Neighbouring groups of one size, or of the sizes that are listed. */
function groupsOf(count: number, sizes: number | readonly number[]): Group[] {
  const list =
    typeof sizes === "number"
      ? Array.from({ length: Math.ceil(count / sizes) }, () => sizes)
      : sizes;
  let end = 0;
  const groups = list.map((size): Group => [end, (end += size)]);
  if (list.length === 0 || list.some((size) => !(size >= 2)) || end !== count) {
    throw new RangeError(`${count} rewards are not whole groups of ${String(sizes)} (>= 2).`);
  }
  return groups;
}

/** Rewards of each group less its mean, divided by `scale`; exactly 0 in groups of equal rewards. */
function centred(
  rewards: Float64Array,
  groups: readonly Group[],
  scale: (group: GroupSpread) => number,
): Float64Array {
  const result = new Float64Array(rewards.length);
  for (const [start, end] of groups) {
    const own = rewards.subarray(start, end);
    const spread = groupSpread(own);
    if (spread.level) continue;
    const divisor = scale(spread);
    own.forEach((reward, index) => {
      if (!Number.isNaN(reward)) result[start + index] = (reward - spread.mean) / divisor;
    });
  }
  return result;
}

/**
 * Returns each reward less the mean of the others of its group, divided by the others' deviation if
 * wanted.
 *
 * A lone valid reward gets 0, and so do equal rewards.
 */
function leaveOneOut(
  rewards: Float64Array,
  groups: readonly Group[],
  scaled: boolean,
): Float64Array {
  const result = new Float64Array(rewards.length);
  for (const [start, end] of groups) {
    const own = rewards.subarray(start, end);
    if (groupSpread(own).level) continue;
    own.forEach((reward, index) => {
      if (Number.isNaN(reward)) return;
      const others = groupSpread(own.filter((_, other) => other !== index));
      const divisor = scaled && !others.level ? others.std + LEAVE_ONE_OUT_OFFSET : 1;
      result[start + index] = (reward - others.mean) / divisor;
    });
  }
  return result;
}

/** Less the mean over tokens, by the deviation over tokens (n); rewards that are NaN stay 0. */
function whitenTokens(
  values: Float64Array,
  rewards: Float64Array,
  lengths: ArrayLike<number>,
): Float64Array {
  // Values are 0 and not -0 or rounding where all groups are level, and must stay so.
  if (values.every((value) => value === 0)) return values;
  const weights = values.map((_, i) => (Number.isNaN(rewards[i]!) ? 0 : lengths[i]!));
  const tokens = Math.max(
    1,
    weights.reduce((sum, weight) => sum + weight, 0),
  );
  const mean = values.reduce((sum, value, i) => sum + weights[i]! * value, 0) / tokens;
  const variance =
    values.reduce((sum, value, i) => sum + weights[i]! * (value - mean) ** 2, 0) / tokens;
  const deviation = Math.sqrt(Math.max(variance, WHITENING_FLOOR));
  return values.map((value, i) => (Number.isNaN(rewards[i]!) ? 0 : (value - mean) / deviation));
}

/** Components scaled within groups, summed by weight, scaled over the batch. */
function gdpo(
  components: readonly ArrayLike<number>[],
  weights: readonly number[],
  groups: readonly Group[],
): Float64Array {
  const parts = components.map((component) => Float64Array.from(component));
  const scaled = parts.map((part) => centred(part, groups, ({ std }) => std + DEVIATION_OFFSET));
  const sums = scaled[0]!.map((_, i) =>
    parts.every((part) => Number.isNaN(part[i]!))
      ? NaN
      : scaled.reduce((sum, part, k) => sum + weights[k]! * part[i]!, 0),
  );
  const batch = groupSpread(sums);
  const result = new Float64Array(sums.length);
  for (const [start, end] of groups) {
    const isLevel = (part: Float64Array) => groupSpread(part.subarray(start, end)).level;
    // Every group's sums have mean 0, so the batch's mean is rounding and may not teach.
    if (parts.every(isLevel)) continue;
    for (let i = start; i < end; i++) {
      if (Number.isNaN(sums[i]!)) continue;
      result[i] = (sums[i]! - batch.mean) / (batch.std + DEVIATION_OFFSET);
    }
  }
  return result;
}

function needed<T>(value: T | undefined, estimator: AdvantageEstimator, what: string): T {
  if (value === undefined) throw new RangeError(`${estimator} needs ${what}.`);
  return value;
}

function estimate(
  rewards: Float64Array,
  groups: readonly Group[],
  estimator: AdvantageEstimator,
  { lengths, components, weights }: AdvantageOptions,
): Float64Array {
  switch (estimator) {
    case "group":
      return centred(rewards, groups, ({ std }) => std + DEVIATION_OFFSET);
    case "batch": {
      const scale = groupSpread(rewards).std + DEVIATION_OFFSET;
      return centred(rewards, groups, () => scale);
    }
    case "none":
      return centred(rewards, groups, () => 1);
    case "loo":
    case "rloo":
      return leaveOneOut(rewards, groups, estimator === "loo");
    case "reinforce++": {
      const tokens = needed(lengths, estimator, "the lengths of the completions");
      return whitenTokens(
        centred(rewards, groups, () => 1),
        rewards,
        tokens,
      );
    }
    case "gdpo": {
      const parts = needed(components, estimator, "the components of the rewards");
      if (parts.length === 0 || parts.some(({ length }) => length !== rewards.length)) {
        throw new RangeError(`gdpo needs components of ${rewards.length} rewards each.`);
      }
      const shares = weights ?? parts.map(() => 1);
      if (shares.length !== parts.length) {
        throw new RangeError(`${shares.length} weights for ${parts.length} components of gdpo.`);
      }
      return gdpo(parts, shares, groups);
    }
  }
}

/**
 * Turns rewards into advantages relative to their group.
 *
 * A group is neighbours: `sizes` of them, one number for all groups or one for each. A NaN reward
 * says that no reward applied: the completion is left out of mean and deviation and gets 0. Rewards
 * of a group that are equal up to rounding (`spreadOf`) give exactly 0, except under `reinforce++`,
 * whose second centring is over the batch.
 *
 * - `group`, `batch`: (r - group mean) / (std + 1e-4), std (n - 1) of the group or of the batch.
 * - `none`: r - group mean.
 * - `rloo`: r - mean of the others of the group.
 * - `loo`: the same divided by (std of the others + 1e-6) where the others differ. They can be
 *   nearly equal: rewards [1, 0.2 x 6, 0.15] give 42.7 where `group` gives 2.47. So it is cut at
 *   `limit`, by default sqrt(G), the most that (r - mean of the others) / (std of the whole group)
 *   can be; Infinity gives NeMo's numbers.
 * - `reinforce++`: r - group mean, then less the mean and by the deviation (n) over all tokens.
 * - `gdpo`: every component as `group`, their weighted sum less the batch mean, by (std of the
 *   batch + 1e-4). The rewards themselves are for `groupMean` and `groupStd`.
 *
 * Numerics: float64.
 *
 * @throws {RangeError} when the rewards are not whole groups of at least two, or an option that the
 *   estimator needs is missing.
 *
 * Source: TRL 1.16 `GRPOTrainer._generate_and_score_completions`; Shao et al. 2024 (GRPO); Liu et
 * al. 2025 (Dr. GRPO) for `none`; Ahmadian et al. 2024 for `rloo`; NeMo-RL
 * `calculate_baseline_and_std_per_prompt` for `loo` and `ReinforcePlusPlusAdvantageEstimator`; Liu
 * et al. 2026 (GDPO).
 */
export function computeAdvantages(
  rewards: ArrayLike<number>,
  sizes: number | readonly number[],
  estimator: AdvantageEstimator,
  options: AdvantageOptions = {},
): Advantages {
  const all = Float64Array.from(rewards);
  const groups = groupsOf(all.length, sizes);
  const spreads = groups.map(([start, end]) => groupSpread(all.subarray(start, end)));
  const raw = estimate(all, groups, estimator, options);
  const advantages = raw.slice();
  if (estimator === "loo") {
    for (const [start, end] of groups) {
      const limit = options.limit ?? Math.sqrt(end - start);
      for (let i = start; i < end; i++) {
        advantages[i] = Math.min(Math.max(raw[i]!, -limit), limit);
      }
    }
  }
  return {
    advantages,
    groupMean: Float64Array.from(spreads, ({ mean }) => mean),
    groupStd: Float64Array.from(spreads, ({ std }) => std),
    zeroStdFraction: spreads.filter(({ level }) => level).length / groups.length,
    limited: advantages.filter((value, i) => value !== raw[i]).length,
  };
}
