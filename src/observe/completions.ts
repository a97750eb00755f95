import { degenerationOf, type Degeneration } from "../core/degenerate.ts";
import type { RolloutRecord } from "../core/run-events.ts";

/** One rewarded completion, as its `rollout` event tells it. */
export interface CompletionView {
  step: number;
  /** Names the group together with `draw`. */
  sample: string;
  draw: number;
  completion: number;
  /** The kind of its question, such as `see`, `hear` or `both`. */
  kind: string;
  /** The question with its options. */
  prompt: string;
  text: string;
  finished: boolean;
  /** Weighted sum; NaN when no reward applied. */
  reward: number;
  /** Each reward before its weight; null when it did not apply. */
  rewards: Readonly<Record<string, number | null>>;
  /** Rewards that failed, by name, and why. */
  rewardErrors: Readonly<Record<string, string>>;
  advantage: number;
  /** Null where the row has no answer. */
  correct: boolean | null;
  /** Maximum of the probability that banned tokens held of one of its tokens. */
  bannedMass: number;
  /** True when a rule took it out of the loss. */
  masked: boolean;
  /** Log-probability of the whole completion, in nats. */
  logProb: number;
  degeneration: Degeneration | undefined;
}

function promptOf({ question = "", options = [] }: RolloutRecord): string {
  const letters = options.map((choice, i) => `${String.fromCharCode(65 + i)}. ${choice}`);
  return [question, ...letters].join("\n");
}

/** Returns what a `rollout` event tells, with what follows from it. */
export function completionView(record: RolloutRecord): CompletionView {
  const { step, sample, draw, completion, kind, text, finished, ids } = record;
  return {
    ...{ step, sample, draw, completion, kind, text, finished },
    prompt: promptOf(record),
    reward: record.reward ?? NaN,
    rewards: record.rewards ?? {},
    rewardErrors: record.reward_errors ?? {},
    advantage: record.advantage,
    correct: record.correct,
    bannedMass: record.banned_mass,
    masked: record.masked,
    logProb: record.log_probs.reduce((sum, value) => sum + value, 0),
    degeneration: degenerationOf(text, finished ? ids.slice(0, -1) : ids),
  };
}

/** Returns the completions of one prompt, in the order of the event. */
function groupsOf(completions: readonly CompletionView[]): CompletionView[][] {
  const groups = new Map<string, CompletionView[]>();
  for (const one of completions) {
    const key = `${one.draw}/${one.sample}`;
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()];
}

/** Why a group's rewards are all equal, or that they differ. */
function groupState(
  group: readonly CompletionView[],
): "mixed" | "all wrong" | "all right" | "level" {
  const rewards = group.map(({ reward }) => reward).filter((reward) => !Number.isNaN(reward));
  if (rewards.some((reward) => reward !== rewards[0])) return "mixed";
  if (group.every(({ correct }) => correct)) return "all right";
  return group.every(({ correct }) => !correct) ? "all wrong" : "level";
}

function share(part: number, whole: number): number {
  return whole === 0 ? NaN : part / whole;
}

/**
 * Metrics that follow from the completions alone, beside those that the trainer reports.
 *
 * Numerics: float64; a metric over no value is NaN, which the logs leave out.
 */
export function completionMetrics(completions: readonly CompletionView[]): Record<string, number> {
  const count = completions.length;
  if (count === 0) return {};
  const advantages = completions.map(({ advantage }) => advantage);
  const states = groupsOf(completions).map(groupState);
  const fraction = (state: string): number =>
    share(states.filter((one) => one === state).length, states.length);
  const mean = (values: readonly number[]): number =>
    share(
      values.reduce((sum, value) => sum + value, 0),
      values.length,
    );
  const degenerate = completions.filter(({ degeneration }) => degeneration !== undefined).length;
  return {
    "rollout/seq_log_prob": mean(completions.map(({ logProb }) => logProb)),
    "rollout/banned_mass": Math.max(...completions.map(({ bannedMass }) => bannedMass)),
    "advantages/mean": mean(advantages),
    "advantages/min": Math.min(...advantages),
    "advantages/max": Math.max(...advantages),
    "groups/all_wrong": fraction("all wrong"),
    "groups/all_right": fraction("all right"),
    "completions/degenerate_ratio": share(degenerate, count),
    "completions/masked_ratio": mean(completions.map(({ masked }) => Number(masked))),
  };
}
