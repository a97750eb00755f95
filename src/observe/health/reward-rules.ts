import {
  type Finding,
  type HealthContext,
  type HealthRule,
  meanOf,
  percent,
  short,
  shownText,
  valuesOf,
} from "./rule.ts";

const WINDOW = 16;
/** Part of the reward's rise that correctness must share for it to be earned. */
const EARNED = 0.25;

/** Rise from the first quarter of values to the last, and twice its standard error. */
function rise(values: readonly number[]): { from: number; to: number; noise: number } {
  const size = Math.floor(values.length / 4);
  const ends = [values.slice(0, size), values.slice(-size)];
  const [from, to] = ends.map(meanOf) as [number, number];
  const spread = ends.map((end) => {
    const mean = meanOf(end);
    return end.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (size - 1) / size;
  });
  return { from, to, noise: 2 * Math.sqrt(spread[0]! + spread[1]!) };
}

function rewardFarming({ rows }: HealthContext, threshold: number): Finding | undefined {
  const window = rows.slice(-WINDOW);
  const rewards = valuesOf(window, "reward");
  const rights = valuesOf(window, "correct");
  if (rewards.length < WINDOW || rights.length < WINDOW) return undefined;
  const reward = rise(rewards);
  const right = rise(rights);
  const gain = reward.to - reward.from;
  if (!(gain > Math.max(threshold, reward.noise))) return undefined;
  if (right.to - right.from + right.noise > EARNED * gain) return undefined;
  const parts = Object.keys(window.at(-1)!).flatMap((name) => {
    const part = /^rewards\/(.+)\/mean$/.exec(name)?.[1];
    const values = valuesOf(window, name);
    if (part === undefined || values.length < WINDOW) return [];
    const { from, to } = rise(values);
    return to - from > threshold / 2 ? [`${part} ${short(from)} to ${short(to)}`] : [];
  });
  const by = parts.length > 0 ? ` by ${parts.join(", ")}` : "";
  return {
    message: `The reward rose from ${short(reward.from)} to ${short(reward.to)} over ${WINDOW} rows${by}, while correctness went from ${short(right.from)} to ${short(right.to)}. The policy learns what pays, not what is right: lower that reward's weight or tie it to the answer.`,
  };
}

function rewardFailure({ completions }: HealthContext, threshold: number): Finding | undefined {
  const failed = completions.filter(({ rewardErrors }) => Object.keys(rewardErrors).length > 0);
  const share = failed.length / completions.length;
  if (!(share > threshold)) return undefined;
  const names = [...new Set(failed.flatMap(({ rewardErrors }) => Object.keys(rewardErrors)))];
  return {
    message: `${names.join(", ")} failed for ${failed.length} of ${completions.length} completions (${percent(share)}), whose rewards lack that part.`,
    // A judge's server may answer with a page.
    example: shownText(Object.values(failed[0]!.rewardErrors)[0]!),
  };
}

/** Rules on what the rewards pay for. */
export const REWARD_RULES: readonly HealthRule[] = [
  { name: "reward_farming", every: "row", check: rewardFarming },
  { name: "reward_failure", every: "step", check: rewardFailure },
];
