import { spreadOf } from "../core/spread.ts";
import type { Checks } from "../rollout/records.ts";
import type { RolloutGroup } from "../rollout/types.ts";

/** A step's completions once they are rewarded: one entry each, group by group. */
export interface RewardedCompletions {
  /** Completions of every group; those of one prompt stand together. */
  sizes: readonly number[];
  /** Weighted sums; NaN when no reward applied. */
  rewards: ArrayLike<number>;
  /** Per reward, its value for every completion before weighting; NaN when it did not apply. */
  parts: Readonly<Record<string, ArrayLike<number>>>;
  /** Per reward, for how many completions it failed. */
  failures?: Readonly<Record<string, number>>;
  /** Tokens of every completion, its end token included. */
  lengths: ArrayLike<number>;
  /** True for each completion that ended by itself. */
  ended: readonly boolean[];
  /** True for each completion with the right answer; null where its row has none. */
  correct: readonly (boolean | null)[];
  /** True for each completion in which no answer could be read. */
  unparsed: readonly boolean[];
  /** True for each completion in the asked format. */
  formatted: readonly boolean[];
}

/** Returns what is known of the completions of groups, as columns. */
export function rewardedCompletions(
  groups: readonly RolloutGroup[],
  { correct, unparsed, formatted }: Checks,
): RewardedCompletions {
  const scores = groups.flatMap((group) => group.scores);
  const completions = groups.flatMap((group) => group.completions);
  const names = Object.keys(scores[0]!.components);
  const byName = <T>(of: (name: string) => T): Record<string, T> =>
    Object.fromEntries(names.map((name) => [name, of(name)]));
  return {
    ...{ correct, unparsed, formatted },
    sizes: groups.map((group) => group.completions.length),
    rewards: scores.map(({ total }) => total ?? NaN),
    parts: byName((name) => scores.map(({ components }) => components[name] ?? NaN)),
    failures: byName(
      (name) => scores.filter(({ failures }) => Object.hasOwn(failures, name)).length,
    ),
    lengths: completions.map(({ ids }) => ids.length),
    ended: completions.map(({ finished }) => finished),
  };
}

function applying(values: ArrayLike<number>): number[] {
  return Array.from(values).filter((value) => !Number.isNaN(value));
}

function meanOf(values: readonly number[]): number {
  return spreadOf(values).mean ?? NaN;
}

/** Mean and deviation (n - 1) of the values that apply; of one the deviation is 0, of none NaN. */
function measure(values: ArrayLike<number>): { mean: number; std: number } {
  const { count, mean, std } = spreadOf(applying(values));
  return { mean: mean ?? NaN, std: count === 1 ? 0 : (std ?? NaN) };
}

function fraction(flags: readonly boolean[]): number {
  return flags.filter(Boolean).length / flags.length;
}

/**
 * Returns the metrics of a step's completions under TRL's names.
 *
 * `reward_std` is over all completions of the step; what a group has of it `frac_reward_zero_std`
 * says, by groups whatever `scale_rewards` is, and a group without any reward is level.
 *
 * Numerics: float64. A metric over no value is NaN, which the logs leave out.
 *
 * Source: TRL 1.16 `GRPOTrainer._generate_and_score_completions`.
 */
export function rolloutMetrics(completions: RewardedCompletions): Record<string, number> {
  const { sizes, rewards, parts, ended } = completions;
  const lengths = Array.from(completions.lengths);
  const terminated = lengths.filter((_, index) => ended[index]);
  const level: boolean[] = [];
  let start = 0;
  for (const size of sizes) {
    level.push(spreadOf(applying(Array.from(rewards).slice(start, start + size))).level);
    start += size;
  }
  const all = measure(rewards);
  const metrics: Record<string, number> = {
    reward: all.mean,
    reward_std: all.std,
    frac_reward_zero_std: fraction(level),
  };
  for (const [name, values] of Object.entries(parts)) {
    const { mean, std } = measure(values);
    metrics[`rewards/${name}/mean`] = mean;
    metrics[`rewards/${name}/std`] = std;
    metrics[`rewards/${name}/failed`] = (completions.failures?.[name] ?? 0) / rewards.length;
  }
  return {
    ...metrics,
    correct: fraction(completions.correct.filter((correct) => correct !== null)),
    unparsed: fraction(completions.unparsed),
    format: fraction(completions.formatted),
    "completions/mean_length": meanOf(lengths),
    "completions/min_length": Math.min(...lengths),
    "completions/max_length": Math.max(...lengths),
    "completions/clipped_ratio": 1 - fraction(ended),
    "completions/mean_terminated_length": meanOf(terminated),
    "completions/min_terminated_length": terminated.length > 0 ? Math.min(...terminated) : NaN,
    "completions/max_terminated_length": terminated.length > 0 ? Math.max(...terminated) : NaN,
  };
}
