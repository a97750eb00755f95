import { z } from "zod";
import { LOSS_DEFAULTS, LOSSES, type LossType, ownFields } from "./losses.ts";

const D = LOSS_DEFAULTS;
const positive = () => z.number().positive();
const bound = () => z.number().min(0).nullable();

/** The keys of a policy loss in the section `train`, under TRL's names where TRL has the option. */
export const lossFields = {
  loss_type: z
    .enum(Object.keys(LOSSES) as [LossType, ...LossType[]])
    .default(D.loss_type)
    .describe("The policy loss and its normaliser: formulas and sources in docs/losses.md."),
  importance_sampling_level: z
    .enum(["token", "sequence"])
    .default(D.importance_sampling_level)
    .describe("`token`: a ratio for every token; `sequence`: one for a completion (GSPO)."),
  epsilon: z.number().min(0).default(D.epsilon).describe("Lower clip of the ratio: 1 - epsilon."),
  epsilon_high: bound()
    .default(D.epsilon_high)
    .describe("Upper clip: 1 + epsilon_high, null for epsilon; in `cispo` the cap of the ratio."),
  delta: positive()
    .nullable()
    .default(D.delta)
    .describe("Cap of the ratio outside of the clip (two-sided clipping); null for none."),
  clip_ratio_c: z
    .number()
    .gt(1)
    .nullable()
    .default(D.clip_ratio_c)
    .describe("Dual clip: a negative advantage A costs at most -clip_ratio_c A; null for none."),
  ...ownFields(LOSSES),
  beta: z
    .number()
    .min(0)
    .default(D.beta)
    .describe("Weight of the KL term against the reference policy; 0 needs no reference."),
  beta_schedule: z
    .enum(["constant", "humanomni_v2"])
    .default("constant")
    .describe("`humanomni_v2`: beta falls to a quarter over the first half of the run."),
  kl_estimator: z
    .enum(["k1", "k2", "k3", "abs"])
    .default(D.kl_estimator)
    .describe("Estimator of the KL divergence from the sampled token."),
  kl_gradient: z
    .enum(["differentiated", "straight_through", "score_function"])
    .default(D.kl_gradient)
    .describe("Gradient of the KL term: its own (TRL), that of k2 (k1+, k3+), NeMo's."),
  kl_in_reward: z
    .boolean()
    .default(false)
    .describe("Whether beta times the KL of a completion is taken off its reward, not the loss."),
  use_bias_correction_kl: z
    .boolean()
    .default(D.use_bias_correction_kl)
    .describe("Whether the KL term is multiplied by the importance ratio."),
  kl_input_clamp_value: bound()
    .default(D.kl_input_clamp_value)
    .describe("Bound of |reference - policy| before the KL estimate; null for none."),
  kl_output_clamp_value: bound()
    .default(D.kl_output_clamp_value)
    .describe("Bound of the KL estimate; null for none."),
  entropy_coef: z
    .number()
    .default(D.entropy_coef)
    .describe("Weight of the mean entropy per token that is taken off the loss."),
  use_adaptive_entropy: z
    .boolean()
    .default(false)
    .describe(
      "Whether that weight moves by `entropy_coef_delta` with every update, up while entropy is at " +
        "most `entropy_target`, else down, and acts only while it is (Skywork-OR1).",
    ),
  entropy_target: z
    .number()
    .min(0)
    .default(0.2)
    .describe("Mean entropy, in nats per token, that an adaptive bonus keeps the policy above."),
  entropy_coef_min: z.number().default(0).describe("Minimum weight of an adaptive bonus."),
  entropy_coef_max: z.number().default(1).describe("Maximum weight of an adaptive bonus."),
  entropy_coef_delta: positive()
    .default(0.005)
    .describe("What an update adds to the weight of an adaptive bonus, or takes off."),
  top_entropy_quantile: z
    .number()
    .min(0)
    .max(1)
    .default(D.top_entropy_quantile)
    .describe(
      "Fraction of tokens, those of highest entropy, that the policy term keeps; 0: the top one.",
    ),
  off_policy_mask_threshold: bound()
    .default(D.off_policy_mask_threshold)
    .describe(
      "Maximum mean log-ratio at which a completion of negative advantage counts; null: all.",
    ),
  importance_sampling_mode: z
    .enum(["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"])
    .nullable()
    .default(D.importance_sampling_mode)
    .describe(
      "Correction from the distribution sampled from (top-p, ...) to the policy; null: none.",
    ),
  importance_sampling_clip_max: bound()
    .default(D.importance_sampling_clip_max)
    .describe("Maximum factor of that correction; null for none."),
  importance_sampling_clip_min: bound()
    .default(D.importance_sampling_clip_min)
    .describe("Minimum factor of that correction; null for none."),
  mask_truncated_completions: z
    .boolean()
    .default(D.mask_truncated_completions)
    .describe("Whether completions that hit the length limit teach nothing."),
};
