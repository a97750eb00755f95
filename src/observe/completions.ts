import { degenerationOf, type Degeneration } from "../core/degenerate.ts";

/** One rewarded completion, as its `rollout` event tells it; what an event lacks is undefined. */
export interface CompletionView {
  step: number;
  /** Names the group together with `draw`. */
  sample: string;
  draw: number;
  completion: number;
  /** What the row asks for, such as `see`, `hear` or `both`. */
  kind: string | undefined;
  /** The prompt as it was rendered; the question with its options where that is not told. */
  prompt: string;
  text: string;
  finished: boolean;
  /** Weighted sum; NaN when no reward applied. */
  reward: number;
  /** Each reward before its weight; null when it did not apply. */
  rewards: Readonly<Record<string, number | null>>;
  /** Rewards that failed, by name, and why. */
  rewardErrors: Readonly<Record<string, string>>;
  advantage: number | undefined;
  correct: boolean | undefined;
  /** Greatest probability that banned tokens held of one of its tokens. */
  bannedMass: number | undefined;
  /** Whether a rule took it out of the loss. */
  masked: boolean | undefined;
  /** Log-probability of the whole completion, in nats. */
  logProb: number | undefined;
  degeneration: Degeneration | undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && !Number.isNaN(value) ? value : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function promptOf({ prompt, question, options }: Record<string, unknown>): string {
  if (typeof prompt === "string") return prompt;
  const choices = Array.isArray(options) ? options.map((option) => textOf(option)) : [];
  const letters = choices.map((choice, i) => `${String.fromCharCode(65 + i)}. ${choice}`);
  return [textOf(question), ...letters].join("\n");
}

function correctOf({ correct, rewards }: Record<string, unknown>): boolean | undefined {
  if (typeof correct === "boolean") return correct;
  const parts = (rewards ?? {}) as Record<string, unknown>;
  const score = numberOf(parts["correct"]) ?? numberOf(parts["accuracy"]);
  return score === undefined ? undefined : score === 1;
}

/** Reads a `rollout` event. */
export function completionView(data: Readonly<Record<string, unknown>>): CompletionView {
  const ids = Array.isArray(data["ids"]) ? (data["ids"] as number[]) : [];
  const logProbs = data["log_probs"];
  const text = textOf(data["text"]);
  const finished = data["finished"] !== false;
  return {
    step: numberOf(data["step"]) ?? 0,
    sample: textOf(data["sample"]),
    draw: numberOf(data["draw"]) ?? 0,
    completion: numberOf(data["completion"]) ?? 0,
    kind: typeof data["kind"] === "string" ? data["kind"] : undefined,
    prompt: promptOf(data),
    ...{ text, finished },
    reward: numberOf(data["reward"]) ?? NaN,
    rewards: (data["rewards"] ?? {}) as Record<string, number | null>,
    rewardErrors: (data["reward_errors"] ?? {}) as Record<string, string>,
    advantage: numberOf(data["advantage"]),
    correct: correctOf(data),
    bannedMass: numberOf(data["banned_mass"]),
    masked: typeof data["masked"] === "boolean" ? data["masked"] : undefined,
    logProb: Array.isArray(logProbs)
      ? (logProbs as number[]).reduce((sum, value) => sum + value, 0)
      : undefined,
    degeneration: degenerationOf(text, finished ? ids.slice(0, -1) : ids),
  };
}

/** The completions of one prompt, in the order of the event. */
export function groupsOf(completions: readonly CompletionView[]): CompletionView[][] {
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
export function groupState(
  group: readonly CompletionView[],
): "mixed" | "all wrong" | "all right" | "level" {
  const rewards = group.map(({ reward }) => reward).filter((reward) => !Number.isNaN(reward));
  if (rewards.some((reward) => reward !== rewards[0])) return "mixed";
  if (group.every(({ correct }) => correct === true)) return "all right";
  return group.every(({ correct }) => correct === false) ? "all wrong" : "level";
}

function known(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
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
  const advantages = known(completions.map(({ advantage }) => advantage));
  const logProbs = known(completions.map(({ logProb }) => logProb));
  const masked = known(
    completions.map((one) => (one.masked === undefined ? undefined : Number(one.masked))),
  );
  const banned = known(completions.map(({ bannedMass }) => bannedMass));
  const states = groupsOf(completions).map(groupState);
  const judged = completions.every(({ correct }) => correct !== undefined);
  const fraction = (state: string): number =>
    judged ? share(states.filter((one) => one === state).length, states.length) : NaN;
  const mean = (values: readonly number[]): number =>
    share(
      values.reduce((sum, value) => sum + value, 0),
      values.length,
    );
  const some = advantages.length > 0;
  const degenerate = completions.filter(({ degeneration }) => degeneration !== undefined).length;
  return {
    "rollout/seq_log_prob": mean(logProbs),
    "rollout/banned_mass": banned.length > 0 ? Math.max(...banned) : NaN,
    "advantages/mean": mean(advantages),
    "advantages/min": some ? Math.min(...advantages) : NaN,
    "advantages/max": some ? Math.max(...advantages) : NaN,
    "groups/all_wrong": fraction("all wrong"),
    "groups/all_right": fraction("all right"),
    "completions/degenerate_ratio": share(degenerate, count),
    "completions/masked_ratio": mean(masked),
  };
}
