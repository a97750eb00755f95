/** Estimators of the KL divergence against the reference policy, from one sampled token. */
export type KlEstimator = "k1" | "k2" | "k3" | "abs";

/** Gradients of a KL estimate: see `klTerm`. */
export type KlGradient = "differentiated" | "straight_through" | "score_function";

/** Bounds of the ratio of rollout policy to sampling distribution, by TRL's names. */
export type CorrectionMode =
  "token_truncate" | "token_mask" | "sequence_truncate" | "sequence_mask";

/**
 * The settings that all policy losses share, under TRL's names where TRL has the option; the type and
 * the options of single losses are added in losses.ts.
 */
export interface CommonLossSettings {
  /** `sequence` is GSPO: one ratio per completion, the geometric mean of its tokens'. */
  importance_sampling_level: "token" | "sequence";
  /** Lower clip of the ratio: 1 - epsilon. */
  epsilon: number;
  /** Upper clip: 1 + epsilon_high, null for epsilon; for `cispo` the cap of the ratio itself. */
  epsilon_high: number | null;
  /** Cap of the ratio outside of the clip (two-sided clipping of INTELLECT-2); null for none. */
  delta: number | null;
  /** Dual clip c of verl and NeMo: the loss of a negative advantage is at most -c A; null: none. */
  clip_ratio_c: number | null;
  /** Weight of the KL term at this step; 0 measures only. */
  beta: number;
  kl_estimator: KlEstimator;
  kl_gradient: KlGradient;
  /** Multiplies the KL term by the ratio, through which it is differentiated too. */
  use_bias_correction_kl: boolean;
  /** Bound of |reference - logp| before the estimate; null for none. */
  kl_input_clamp_value: number | null;
  /** Bound of the estimate's magnitude; null for none. */
  kl_output_clamp_value: number | null;
  entropy_coef: number;
  /** Fraction of tokens, by highest entropy, that the policy term keeps. */
  top_entropy_quantile: number;
  /** Maximum mean log-ratio of sampling to policy at which a negative advantage counts; null: all. */
  off_policy_mask_threshold: number | null;
  /** TRL's `vllm_importance_sampling_mode`; null for no correction. */
  importance_sampling_mode: CorrectionMode | null;
  importance_sampling_clip_max: number | null;
  importance_sampling_clip_min: number | null;
  mask_truncated_completions: boolean;
}

/**
 * TRL's defaults (`GRPOConfig`), and for options that TRL lacks the value that gives TRL's loss.
 *
 * One differs: the sampling correction is off, as rollout and training are one implementation.
 */
export const COMMON_LOSS_DEFAULTS: Readonly<CommonLossSettings> = {
  importance_sampling_level: "token",
  epsilon: 0.2,
  epsilon_high: null,
  delta: null,
  clip_ratio_c: null,
  beta: 0,
  kl_estimator: "k3",
  kl_gradient: "differentiated",
  use_bias_correction_kl: true,
  kl_input_clamp_value: null,
  kl_output_clamp_value: null,
  entropy_coef: 0,
  top_entropy_quantile: 1,
  off_policy_mask_threshold: null,
  importance_sampling_mode: null,
  importance_sampling_clip_max: 3,
  importance_sampling_clip_min: null,
  mask_truncated_completions: false,
};
