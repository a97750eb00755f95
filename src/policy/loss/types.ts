/** One completion of a batch: where its tokens lie and what is known of it as a whole. */
export interface LossCompletion {
  /** Index of its first token in the flat arrays. */
  start: number;
  /** Tokens; 0 is allowed and counts as a completion. */
  length: number;
  /** Advantage of all its tokens. */
  advantage: number;
  /** True where it ended at the length limit rather than by an end token. */
  truncated: boolean;
  /** True where a rule of the run's health takes it out: it then has no tokens, as a truncated one. */
  masked?: boolean;
}

/**
 * Completions of an optimizer step, or of a part of it, as a loss reads them.
 *
 * All arrays are [tokens] in nats, over completion tokens only; prompts and padding are absent.
 */
export interface LossBatch {
  completions: readonly LossCompletion[];
  /** Log-probabilities under the policy that trains, at the sampling temperature. */
  logp: ArrayLike<number>;
  /** Log-probabilities that the policy gave at rollout. */
  old: ArrayLike<number>;
  /** Log-probabilities under the reference policy; needed where beta is not 0. */
  reference?: ArrayLike<number>;
  /** Entropies of the policy that trains; needed by the entropy bonus and the top-entropy mask. */
  entropy?: ArrayLike<number>;
  /**
   * Log-probabilities under the distribution that was sampled from (an engine's report, or after
   * top-p); NaN where unknown. Needed by the sampling correction.
   */
  sampling?: ArrayLike<number>;
}

/** Sums over a whole optimizer step, which the normalisers divide by; `stepTotals` makes them. */
export interface StepTotals {
  /** All completions of the step, masked and empty ones too. */
  completions: number;
  /** Tokens of completions that are not masked. */
  tokens: number;
  /** Maximum tokens of a completion: `max_completion_length`, the constant of `dr_grpo`. */
  maxCompletionLength: number;
  /** Minimum entropy of a token that `top_entropy_quantile` keeps; -Infinity keeps all. */
  entropyThreshold: number;
  /** Tokens with at least that entropy, over which the entropy bonus is a mean. */
  entropyTokens: number;
  /** Tokens that have a sampling log-probability. */
  samplingTokens: number;
}

/** A loss with its gradient and metrics. */
export interface LossResult {
  loss: number;
  /** [tokens] derivative of the loss by `logp`. */
  dLogp: Float64Array;
  /** [tokens] derivative of the loss by `entropy`; absent without an entropy bonus. */
  dEntropy?: Float64Array;
  /** Share of the mean entropy over the tokens that the policy term keeps; 0 without entropies. */
  keptEntropy: number;
  /** Under TRL's names. Those that are means are shares of the step's mean, so that parts add. */
  metrics: Record<string, number>;
}
