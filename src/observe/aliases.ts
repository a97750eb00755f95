/** Another program's name for a metric of aubade. */
export interface MetricAlias {
  /** Name in that program; a `*` takes what the `*` of `of` stands for. */
  alias: string;
  /** The metric's name here. */
  of: string;
  source: string;
}

const VIDEO = "Qwen2.5-VL-Video";
const NEMO = "NeMo-RL";
const OLD_TRL = "west, r1-aqa, HumanOmniV2";
const VERL = "verl";

/**
 * Names that other trainers give to metrics of the same meaning. A name whose meaning differs is
 * left out: NeMo's `accuracy` is a mean reward, its `total_num_tokens` is of one step.
 */
export const METRIC_ALIASES: readonly MetricAlias[] = [
  { alias: "grpo/policy_seq_log_prob", of: "rollout/seq_log_prob", source: VIDEO },
  { alias: "grpo/kl_div", of: "kl", source: VIDEO },
  { alias: "grpo/format_reward", of: "rewards/format/mean", source: VIDEO },
  { alias: "grpo/accuracy_reward", of: "rewards/correct/mean", source: VIDEO },
  { alias: "grpo/accuracy_reward", of: "rewards/accuracy/mean", source: VIDEO },
  { alias: "grpo/total_reward", of: "reward", source: VIDEO },
  { alias: "grpo/advantage", of: "advantages/mean", source: VIDEO },
  { alias: "train/loss", of: "loss", source: NEMO },
  { alias: "train/reward", of: "reward", source: NEMO },
  { alias: "train/grad_norm", of: "grad_norm", source: NEMO },
  { alias: "train/lr", of: "learning_rate", source: NEMO },
  { alias: "train/kl_penalty", of: "kl", source: NEMO },
  { alias: "train/approx_entropy", of: "entropy", source: NEMO },
  { alias: "train/token_mult_prob_error", of: "token_mult_prob_error", source: NEMO },
  { alias: "train/mean_gen_tokens_per_sample", of: "completions/mean_length", source: NEMO },
  { alias: "train/advantages/*", of: "advantages/*", source: NEMO },
  { alias: "completion_length", of: "completions/mean_length", source: OLD_TRL },
  { alias: "completion_length_min", of: "completions/min_length", source: "Video-R1" },
  { alias: "completion_length_max", of: "completions/max_length", source: "Video-R1" },
  { alias: "rewards/*", of: "rewards/*/mean", source: OLD_TRL },
  { alias: "all_wrong", of: "groups/all_wrong", source: "Video-R1" },
  { alias: "all_correct", of: "groups/all_right", source: "Video-R1" },
  { alias: "actor/pg_loss", of: "loss", source: VERL },
  { alias: "actor/pg_clipfrac", of: "clip_ratio/region_mean", source: VERL },
  { alias: "actor/kl_loss", of: "kl", source: VERL },
  { alias: "actor/entropy", of: "entropy", source: VERL },
  { alias: "actor/grad_norm", of: "grad_norm", source: VERL },
  { alias: "critic/rewards/mean", of: "reward", source: VERL },
  { alias: "critic/advantages/*", of: "advantages/*", source: VERL },
  { alias: "response_length/mean", of: "completions/mean_length", source: VERL },
  { alias: "response_length/min", of: "completions/min_length", source: VERL },
  { alias: "response_length/max", of: "completions/max_length", source: VERL },
  { alias: "response_length/clip_ratio", of: "completions/clipped_ratio", source: VERL },
];

/**
 * Returns the text that a `*` in a metric's name stands for: one part of a path, without slashes.
 */
function starOf(pattern: string, name: string): string | undefined {
  const [head, tail] = pattern.split("*") as [string, string | undefined];
  if (tail === undefined) return pattern === name ? "" : undefined;
  if (!name.startsWith(head) || !name.endsWith(tail)) return undefined;
  const star = name.slice(head.length, name.length - tail.length);
  return star.length > 0 && /^[^/]+$/.test(star) ? star : undefined;
}

/**
 * Returns a row of metrics with the sources' names beside aubade's; a name that exists is never
 * replaced.
 */
export function withAliases(row: Readonly<Record<string, number>>): Record<string, number> {
  const both: Record<string, number> = { ...row };
  for (const [name, value] of Object.entries(row)) {
    for (const { alias, of } of METRIC_ALIASES) {
      const star = starOf(of, name);
      if (star !== undefined) both[alias.replace("*", star)] ??= value;
    }
  }
  return both;
}
