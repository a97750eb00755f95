/** How the values of several steps become one row of the log. */
export type Merge = "mean" | "max" | "min" | "sum" | "last";

/** A metric: what it means, and how it is put together. */
export interface MetricInfo {
  /** Name in every log; `*` stands for a name, such as that of a reward. */
  name: string;
  /** One sentence with the unit. */
  doc: string;
  merge: Merge;
  /** True for clock times: the only numbers in which two runs of one seed may differ. */
  timing?: true;
}

/**
 * Every metric of a run. Names are TRL's wherever the meaning is TRL's; `token_mult_prob_error` and
 * `advantages/*` are NeMo-RL's; `correct`, `format`, `groups/*`, `rollout/*`, `sft/*` and `eval/*`
 * are aubade's own. Other programs' names for them: `aliases.ts`.
 */
export const METRICS: readonly MetricInfo[] = [
  { name: "loss", doc: "Loss of the optimizer step.", merge: "mean" },
  { name: "reward", doc: "Mean reward of the completions of a step.", merge: "mean" },
  {
    name: "reward_std",
    doc: "Standard deviation (n - 1) of the rewards of all completions of a step.",
    merge: "mean",
  },
  {
    name: "frac_reward_zero_std",
    doc: "Fraction of groups whose rewards are all equal, which teach nothing.",
    merge: "mean",
  },
  { name: "rewards/*/mean", doc: "Mean of one reward, before its weight.", merge: "mean" },
  { name: "rewards/*/std", doc: "Standard deviation (n - 1) of one reward.", merge: "mean" },
  {
    name: "rewards/*/failed",
    doc: "Fraction of completions for which one reward failed; they have no reward.",
    merge: "mean",
  },
  { name: "correct", doc: "Fraction of completions with the right answer.", merge: "mean" },
  {
    name: "unparsed",
    doc: "Fraction of completions in which no answer could be read; they count as wrong.",
    merge: "mean",
  },
  { name: "format", doc: "Fraction of completions in the asked format.", merge: "mean" },
  { name: "completions/mean_length", doc: "Mean length, in tokens.", merge: "mean" },
  { name: "completions/min_length", doc: "Least length, in tokens.", merge: "min" },
  { name: "completions/max_length", doc: "Greatest length, in tokens.", merge: "max" },
  {
    name: "completions/clipped_ratio",
    doc: "Fraction of completions cut at max_completion_length.",
    merge: "mean",
  },
  {
    name: "completions/mean_terminated_length",
    doc: "Mean length of the completions that ended by themselves, in tokens.",
    merge: "mean",
  },
  {
    name: "completions/min_terminated_length",
    doc: "Least length of the completions that ended by themselves, in tokens.",
    merge: "min",
  },
  {
    name: "completions/max_terminated_length",
    doc: "Greatest length of the completions that ended by themselves, in tokens.",
    merge: "max",
  },
  {
    name: "kl",
    doc: "Mean k3 divergence from the starting policy, in nats a token.",
    merge: "mean",
  },
  { name: "entropy", doc: "Mean entropy of the policy, in nats a token.", merge: "mean" },
  {
    name: "clip_ratio/region_mean",
    doc: "Fraction of tokens whose ratio was clipped, either way.",
    merge: "mean",
  },
  { name: "clip_ratio/low_mean", doc: "Fraction of tokens clipped from below.", merge: "mean" },
  {
    name: "clip_ratio/low_min",
    doc: "Least fraction clipped from below over the passes of a step.",
    merge: "min",
  },
  { name: "clip_ratio/high_mean", doc: "Fraction of tokens clipped from above.", merge: "mean" },
  {
    name: "clip_ratio/high_max",
    doc: "Greatest fraction clipped from above over the passes of a step.",
    merge: "max",
  },
  {
    name: "clip_ratio/dual_mean",
    doc: "Fraction of tokens held by the second clip of negative advantages.",
    merge: "mean",
  },
  { name: "cispo_clip_ratio", doc: "Fraction of tokens whose weight CISPO capped.", merge: "mean" },
  { name: "vespo/phi_seq_mean", doc: "Mean weight that VESPO gives a completion.", merge: "mean" },
  {
    name: "entropy_coef",
    doc: "Weight of an adaptive entropy bonus after the step.",
    merge: "last",
  },
  { name: "policy_loss", doc: "Loss without the entropy bonus.", merge: "mean" },
  { name: "beta", doc: "Weight of the KL term at the step.", merge: "last" },
  {
    name: "sampling/sampling_logp_difference/mean",
    doc: "Mean |rollout log-prob - training log-prob|, in nats a token.",
    merge: "mean",
  },
  {
    name: "sampling/sampling_logp_difference/max",
    doc: "Greatest |rollout log-prob - training log-prob|, in nats.",
    merge: "max",
  },
  {
    name: "token_mult_prob_error",
    doc: "Mean exp |rollout log-prob - training log-prob| of a token; 1 says that both agree.",
    merge: "mean",
  },
  {
    name: "token_mult_prob_error/*",
    doc: "The same over the rows of one kind, where there are several.",
    merge: "mean",
  },
  {
    name: "rollout/seq_log_prob",
    doc: "Mean log-probability of a whole completion as it was sampled, in nats.",
    merge: "mean",
  },
  {
    name: "rollout/banned_mass",
    doc: "Greatest probability that placeholders and padded vocabulary rows held of a token.",
    merge: "max",
  },
  { name: "advantages/mean", doc: "Mean advantage of the completions of a step.", merge: "mean" },
  { name: "advantages/min", doc: "Least advantage.", merge: "min" },
  { name: "advantages/max", doc: "Greatest advantage.", merge: "max" },
  {
    name: "groups/all_wrong",
    doc: "Fraction of groups without a right answer whose rewards are all equal.",
    merge: "mean",
  },
  {
    name: "groups/all_right",
    doc: "Fraction of groups of right answers only whose rewards are all equal.",
    merge: "mean",
  },
  {
    name: "completions/degenerate_ratio",
    doc: "Fraction of completions that repeat themselves or are garbage.",
    merge: "mean",
  },
  {
    name: "completions/masked_ratio",
    doc: "Fraction of completions that a health rule took out of the loss.",
    merge: "mean",
  },
  {
    name: "data/rows_unreadable",
    doc: "Rows that a step left out since their media cannot be read.",
    merge: "sum",
  },
  {
    name: "data/rows_over_budget",
    doc: "Rows that a step left out since their prompts are over the budget of tokens.",
    merge: "sum",
  },
  {
    name: "sampling/importance_sampling_ratio/min",
    doc: "Least weight that the mismatch correction gave, before its cap.",
    merge: "min",
  },
  {
    name: "sampling/importance_sampling_ratio/mean",
    doc: "Mean weight that the mismatch correction gave.",
    merge: "mean",
  },
  {
    name: "sampling/importance_sampling_ratio/max",
    doc: "Greatest weight that the mismatch correction gave.",
    merge: "max",
  },
  { name: "grad_norm", doc: "Global L2 norm of the gradient before clipping.", merge: "mean" },
  { name: "learning_rate", doc: "Learning rate of the step.", merge: "last" },
  {
    name: "num_tokens",
    doc: "Tokens trained on since the start, prompts included.",
    merge: "last",
  },
  { name: "step_time", doc: "Duration of a step, in seconds.", merge: "mean", timing: true },
  { name: "rollout/batches", doc: "Rollout batches that a step drew.", merge: "mean" },
  {
    name: "rollout/tokens_per_s",
    doc: "Sampled tokens per second of rollout.",
    merge: "mean",
    timing: true,
  },
  { name: "time/*", doc: "Duration of a part of a step, in seconds.", merge: "mean", timing: true },
  { name: "sft/*", doc: "Cross-entropy of one part of supervised training.", merge: "mean" },
  {
    name: "eval_loss",
    doc: "Mean cross-entropy of the held-out rows of `sft.eval_data` after a step.",
    merge: "last",
  },
  {
    name: "eval/reward",
    doc:
      "Mean reward of the answers to the held-out questions; of a list of benchmarks, each metric has " +
      "the name of its own after the first slash: `eval/NAME/reward`.",
    merge: "last",
  },
  { name: "eval/reward_std", doc: "Its standard deviation (n - 1).", merge: "last" },
  {
    name: "eval/rewards/*/mean",
    doc: "Mean of one reward over the answers, before its weight.",
    merge: "last",
  },
  { name: "eval/rewards/*/std", doc: "Its standard deviation (n - 1).", merge: "last" },
  { name: "eval/rewards/*/failed", doc: "Fraction for which it failed.", merge: "last" },
  { name: "eval/failed", doc: "Questions that failed; each counts as wrong.", merge: "last" },
  {
    name: "eval/*",
    doc: "Accuracy on the held-out questions, and further measures of the scorer.",
    merge: "last",
  },
  {
    name: "eval_muted/*",
    doc: "The same for the held-out questions without sound.",
    merge: "last",
  },
  {
    name: "eval_text_only/*",
    doc: "The same for the held-out questions without any media.",
    merge: "last",
  },
  {
    name: "eval_blank/*",
    doc: "The same for the held-out questions with a flat picture.",
    merge: "last",
  },
];

/** Returns the entry of a metric's name, or undefined when there is no such metric. */
export function metricInfo(name: string): MetricInfo | undefined {
  return METRICS.find((metric) => {
    const [head, tail] = metric.name.split("*");
    if (tail === undefined) return metric.name === name;
    const long = name.length > head!.length + tail.length;
    return long && name.startsWith(head!) && name.endsWith(tail);
  });
}

const MERGES: Record<Merge, (values: readonly number[]) => number> = {
  mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  max: (values) => Math.max(...values),
  min: (values) => Math.min(...values),
  last: (values) => values.at(-1)!,
};

/** Collects the metrics of the steps between two rows of the log. */
export class MetricMeter {
  readonly #values = new Map<string, number[]>();

  /** Adds the metrics of a step; NaN says that a metric was not measured, and is left out. */
  add(metrics: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(metrics)) {
      if (Number.isNaN(value)) continue;
      const values = this.#values.get(name);
      if (values) values.push(value);
      else this.#values.set(name, [value]);
    }
  }

  /** The values since the last row, for a checkpoint; JSON-serialisable but for infinities. */
  pending(): Record<string, number[]> {
    return Object.fromEntries([...this.#values].map(([name, values]) => [name, [...values]]));
  }

  /** Takes up what {@link pending} gave; a null, which JSON made of an infinity, becomes NaN. */
  restore(pending: Readonly<Record<string, readonly (number | null)[]>>): void {
    this.#values.clear();
    for (const [name, values] of Object.entries(pending)) {
      this.#values.set(
        name,
        values.map((value) => value ?? NaN),
      );
    }
  }

  /** The row of all steps since the last one, and starts anew; unlisted metrics are averaged. */
  take(): Record<string, number> {
    const row: Record<string, number> = {};
    for (const [name, values] of this.#values) {
      row[name] = MERGES[metricInfo(name)?.merge ?? "mean"](values);
    }
    this.#values.clear();
    return row;
  }
}
