import { z } from "zod";
import { LORA_DEFAULTS } from "../checkpoint/lora.ts";
import { namedDataSchema } from "../datasets/schema.ts";
import { lossFields } from "../policy/loss/schema.ts";
import { ADAMW_DEFAULTS as A } from "./optimizer.ts";

/** Learning rate schedules, under the names that transformers gives them. */
const SCHEDULES = [
  "constant",
  "constant_with_warmup",
  "linear",
  "cosine",
  "warmup_stable_decay",
] as const;

const learningRate = z
  .number()
  .positive()
  .describe("Peak learning rate of AdamW; the schedule multiplies it.");
const warmupSteps = z
  .int()
  .min(0)
  .describe("Optimizer steps over which the learning rate rises linearly from 0 to its peak.");
const scheduler = z
  .enum(SCHEDULES)
  .describe(
    "Shape of the learning rate over the run. `constant` ignores the warm-up; " +
      "`warmup_stable_decay` holds the peak, then falls linearly over `lr_decay_steps`.",
  );
const minLrRatio = z
  .number()
  .min(0)
  .max(1)
  .describe("Learning rate at the end of a falling schedule, as a fraction of the peak.");
const decaySteps = z
  .int()
  .min(0)
  .describe(
    "Optimizer steps of the final fall of `warmup_stable_decay`; other schedules ignore it.",
  );

/** Low-rank adapters in place of full weights, under PEFT's names. */
const loraSchema = z.strictObject({
  r: z.int().positive().default(LORA_DEFAULTS.r).describe("Rank of every adapter."),
  lora_alpha: z
    .number()
    .positive()
    .default(LORA_DEFAULTS.lora_alpha)
    .describe("Numerator of the adapter's scale, which is lora_alpha / r."),
  use_rslora: z
    .boolean()
    .default(LORA_DEFAULTS.use_rslora)
    .describe("Whether the scale is lora_alpha / sqrt(r) instead (rank-stabilised LoRA)."),
  target_modules: z
    .union(
      [
        z.array(z.string().min(1)).min(1, "an adapter needs at least one module to sit on"),
        z.enum(["all-linear"]),
      ],
      { error: "it must be a list of names, or `all-linear`" },
    )
    .default(LORA_DEFAULTS.target_modules)
    .describe(
      "Linear layers that get an adapter: the ends of their names, or patterns of whole names in " +
        "which `*` stands for any characters; `all-linear` for every linear layer but the head. " +
        "Only layers in the parts that train (`tune_mm_*`) do.",
    ),
});

/** How weights are trained: TRL's names and defaults wherever the meaning is TRL's. */
export const trainSchema = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(0xffffffff)
    .default(42)
    .describe("Seed of every random number of the run; the same seed gives the same bits."),
  max_steps: z
    .int()
    .min(0)
    .nullable()
    .default(null)
    .describe("Optimizer steps of the run (GRPO); null follows from `num_train_epochs`."),
  num_train_epochs: z
    .number()
    .positive()
    .default(3)
    .describe(
      "Epochs of the run where `max_steps` is null: each has as many steps as the data set has whole " +
        "batches of `prompts_per_step` rows, one at least.",
    ),
  prompts_per_step: z.int().positive().default(16).describe("Prompts rolled out per step."),
  shuffle_dataset: z
    .boolean()
    .default(true)
    .describe("Whether each epoch has a random order; otherwise rows come as the data has them."),
  num_generations: z
    .int()
    .min(2, "GRPO needs at least 2 to form an advantage")
    .default(8)
    .describe("Completions per prompt: the size of a group (G); a row may name its own."),
  num_iterations: z
    .int()
    .positive()
    .default(1)
    .describe("How often each batch of rollouts is gone over (mu in the GRPO paper)."),
  num_minibatches: z
    .int()
    .positive()
    .default(1)
    .describe("Parts of whole groups into which a batch is cut, with one AdamW update each."),
  learning_rate: learningRate.default(1e-6),
  lr_scheduler_type: scheduler.default("linear"),
  warmup_steps: warmupSteps.default(0),
  min_lr_ratio: minLrRatio.default(0),
  lr_decay_steps: decaySteps.default(0),
  adam_beta1: z
    .number()
    .min(0)
    .lt(1)
    .default(A.adam_beta1)
    .describe("Decay of AdamW's first moment."),
  adam_beta2: z
    .number()
    .min(0)
    .lt(1)
    .default(A.adam_beta2)
    .describe("Decay of AdamW's second moment."),
  adam_epsilon: z
    .number()
    .positive()
    .default(A.adam_epsilon)
    .describe("AdamW's denominator offset."),
  weight_decay: z
    .number()
    .min(0)
    .default(A.weight_decay)
    .describe("AdamW's decoupled weight decay; biases and norms have none, as in TRL."),
  max_grad_norm: z
    .number()
    .min(0)
    .default(A.max_grad_norm)
    .describe("Global L2 norm to which the gradient is clipped; 0 switches clipping off."),
  ...lossFields,
  scale_rewards: z
    .enum(["group", "batch", "none"])
    .default("group")
    .describe("Standard deviation that divides the advantage: of the group, of the batch, or 1."),
  advantage_estimator: z
    .enum(["grpo", "loo", "rloo", "reinforce++", "gdpo"])
    .default("grpo")
    .describe(
      "How rewards become advantages: `grpo` by `scale_rewards`; `loo`, `rloo` against the others " +
        "of the group; `reinforce++` and `gdpo` normalised over the batch.",
    ),
  measure_kl: z
    .boolean()
    .default(false)
    .describe(
      "Whether the KL against the starting policy is measured at beta 0 too, where it steers " +
        "nothing: one more forward pass a step, the same bits.",
    ),
  ref_model_offload: z
    .boolean()
    .default(false)
    .describe(
      "Whether the reference's copies of matrices that train stay in host memory and go to the GPU " +
        "one by one in its pass: less GPU memory, the same bits.",
    ),
  sync_ref_model: z
    .boolean()
    .default(false)
    .describe("Whether the reference moves towards the policy (TR-DPO); not with adapters."),
  ref_model_mixup_alpha: z
    .number()
    .min(0)
    .max(1)
    .default(0.6)
    .describe("Share of the policy in the reference when it moves; the rest is what it was."),
  ref_model_sync_steps: z.int().positive().default(512).describe("Steps between two moves."),
  tune_mm_llm: z.boolean().default(true).describe("Whether the language model trains."),
  tune_mm_vision: z.boolean().default(false).describe("Whether the vision tower trains."),
  tune_mm_audio: z.boolean().default(false).describe("Whether the audio tower trains."),
  tune_mm_mlp: z
    .boolean()
    .default(false)
    .describe("Whether the projections from the towers into the language model train."),
  freeze: z
    .array(z.string().min(1))
    .default([])
    .describe("Parameter names that stay frozen besides; `*` stands for any characters."),
  lora: loraSchema
    .nullable()
    .default(null)
    .describe("Adapters to train while all weights stay frozen; null for none."),
  max_tokens_per_pass: z
    .int()
    .positive()
    .default(8192)
    .describe(
      "Most tokens in one packed training pass; groups beyond it go to a further pass of the " +
        "same step, which changes no result.",
    ),
  gradient_checkpointing: z
    .boolean()
    .default(false)
    .describe(
      "Whether decoder layers are computed again in backward instead of kept: less memory, a " +
        "third more work, the same bits.",
    ),
  logging_steps: z.int().positive().default(1).describe("Steps between two rows of metrics."),
  save_steps: z
    .int()
    .min(0)
    .default(50)
    .describe("Steps between two checkpoints; 0 saves at the end only."),
  save_minutes: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("Minutes after which a step is followed by a checkpoint in any case; null: never."),
  eval_steps: z
    .int()
    .min(0)
    .default(0)
    .describe("Steps between two evaluations; 0 evaluates before and after only."),
});

/** Supervised fine-tuning: what `task: sft` adds. */
export const sftSchema = z.strictObject({
  assistant_only_loss: z
    .boolean()
    .default(true)
    .describe(
      "Whether the loss is over the tokens of the assistant alone; otherwise over all tokens but the " +
        "placeholders of media.",
    ),
  completion: z
    .string()
    .min(1)
    .default("{answer}")
    .describe(
      "The assistant's message of rows that have none: text with `{answer}` (the right answer as the " +
        "row has it), `{letter}` (the letter of the right option) or another column in braces, such " +
        "as `{solution}`.",
    ),
  eval_data: namedDataSchema("settings", {})
    .nullable()
    .default(null)
    .describe(
      "Held-out rows whose loss, `eval_loss`, is measured every `train.eval_steps` and after the last " +
        "step: a data set with its settings; null for none.",
    ),
});

/** How weights are trained, checked and with every default filled in. */
export type TrainConfig = z.output<typeof trainSchema>;
/** Supervised fine-tuning, checked. */
export type SftConfig = z.output<typeof sftSchema>;
/** Name of a learning rate schedule. */
export type ScheduleName = (typeof SCHEDULES)[number];
