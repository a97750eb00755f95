/** Settings that a source publishes, with the place where it does. */
export interface Fact {
  /** Dotted key of the resolved configuration. */
  key: string;
  value: unknown;
  /** Place in the source. */
  source: string;
}

const NEMO =
  "NVIDIA-NeMo/RL 7ea279abf, vlm_grpo-qwen2.5-omni-7b-intent-1n8g-megatron.v1.yaml and what it inherits";
const HUMAN_OMNI = "HumanOmniV2, arXiv 2506.21277 section 5.1, and scripts of 9bf0e6f";
const WEST = "wenet-e2e/west, GRPO on AVQA, document";
const VIDEO = "Qwen2.5-VL-Video, README and guide";

/** Facts by recipe; those of a stage by `RECIPE#STAGE`. */
export const FACTS: Record<string, readonly Fact[]> = {
  "omni-7b-intent": [
    { key: "model.path", value: "Qwen/Qwen2.5-Omni-7B", source: NEMO },
    { key: "data.problem_types", value: ["multiple choice"], source: NEMO },
    { key: "data.sound", value: "apart", source: `${NEMO}: three content items` },
    { key: "data.video.nframes", value: 8, source: `${NEMO}: num_frames` },
    { key: "rollout.max_completion_length", value: 1024, source: `${NEMO}: max_new_tokens` },
    { key: "rollout.temperature", value: 1, source: NEMO },
    { key: "train.prompts_per_step", value: 32, source: `${NEMO}: num_prompts_per_step` },
    { key: "train.num_generations", value: 8, source: NEMO },
    // 256 rollouts in global batches of 32.
    { key: "train.num_minibatches", value: 8, source: `${NEMO}: train_global_batch_size` },
    { key: "train.learning_rate", value: 1e-6, source: NEMO },
    { key: "train.warmup_steps", value: 10, source: NEMO },
    { key: "train.beta", value: 0.01, source: `${NEMO}: reference_policy_kl_penalty` },
    { key: "train.kl_estimator", value: "k3", source: NEMO },
    { key: "train.epsilon", value: 0.2, source: `${NEMO}: ratio_clip_min, ratio_clip_max` },
    { key: "train.max_grad_norm", value: 1, source: NEMO },
    { key: "train.weight_decay", value: 0.01, source: NEMO },
    { key: "train.max_steps", value: 1000, source: `${NEMO}: max_num_steps` },
    { key: "train.eval_steps", value: 10, source: `${NEMO}: val_period` },
    { key: "train.save_steps", value: 20, source: `${NEMO}: save_period` },
    { key: "train.save_minutes", value: 225, source: `${NEMO}: checkpoint_must_save_by 03:45` },
    { key: "output.keep_last", value: 10, source: `${NEMO}: keep_top_k` },
    { key: "eval.questions", value: 256, source: `${NEMO}: max_val_samples` },
    {
      key: "rewards",
      value: [
        { name: "format-tags", weight: 0.2 },
        { name: "exact-alnum", weight: 0.8 },
      ],
      source: `${NEMO}: format 0.2, exact_alnum 0.8`,
    },
  ],
  "omni-3b-intent": [
    { key: "data.video.nframes", value: 16, source: `${NEMO}: the larger of its two frame counts` },
  ],
  "omni-7b-context#cold-start": [
    { key: "train.learning_rate", value: 1e-5, source: `${HUMAN_OMNI}: paper` },
    { key: "train.prompts_per_step", value: 128, source: `${HUMAN_OMNI}: paper` },
    { key: "train.num_train_epochs", value: 2, source: HUMAN_OMNI },
    { key: "sft.assistant_only_loss", value: false, source: `${HUMAN_OMNI}: all non-media tokens` },
    { key: "train.tune_mm_vision", value: false, source: HUMAN_OMNI },
    { key: "train.tune_mm_audio", value: false, source: HUMAN_OMNI },
  ],
  "omni-7b-context#context": [
    { key: "train.beta", value: 0.04, source: HUMAN_OMNI },
    { key: "train.beta_schedule", value: "humanomni_v2", source: HUMAN_OMNI },
    { key: "train.scale_rewards", value: "none", source: HUMAN_OMNI },
    { key: "train.num_generations", value: 8, source: HUMAN_OMNI },
    { key: "rollout.max_completion_length", value: 2048, source: `${HUMAN_OMNI}: paper` },
    { key: "rollout.temperature", value: 0.9, source: HUMAN_OMNI },
    { key: "rollout.top_k", value: 50, source: HUMAN_OMNI },
    { key: "data.video", value: { fps: 2, max_frames: 32 }, source: `${HUMAN_OMNI}: paper` },
    { key: "train.save_steps", value: 100, source: HUMAN_OMNI },
  ],
  "omni-7b-context#reasoning": [
    { key: "train.num_iterations", value: 2, source: HUMAN_OMNI },
    { key: "train.save_steps", value: 200, source: HUMAN_OMNI },
  ],
  "vl-3b-video": [
    { key: "train.learning_rate", value: 2e-5, source: VIDEO },
    { key: "train.weight_decay", value: 0.1, source: VIDEO },
    { key: "train.adam_beta2", value: 0.95, source: VIDEO },
    { key: "train.lr_scheduler_type", value: "cosine", source: VIDEO },
    { key: "train.num_generations", value: 4, source: `${VIDEO}: grpo_sample_size` },
    { key: "rollout.temperature", value: 0.7, source: VIDEO },
    { key: "rollout.top_p", value: 0.9, source: VIDEO },
    { key: "train.tune_mm_llm", value: true, source: VIDEO },
    { key: "train.tune_mm_vision", value: false, source: VIDEO },
    { key: "train.tune_mm_mlp", value: true, source: VIDEO },
    { key: "train.scale_rewards", value: "none", source: "without it grpo_alpha would cancel" },
    {
      key: "rewards",
      // grpo_alpha 0.5 times 0.3 and 0.7.
      value: [
        { name: "format-parts", weight: 0.15 },
        { name: "action-iou", weight: 0.35 },
      ],
      source: `${VIDEO}: format 0.3, accuracy 0.7, grpo_alpha 0.5`,
    },
  ],
  "omni-3b-avqa": [
    { key: "train.learning_rate", value: 1e-6, source: WEST },
    { key: "train.beta", value: 0.04, source: WEST },
    { key: "train.num_generations", value: 8, source: WEST },
    { key: "train.max_steps", value: 1000, source: WEST },
    { key: "train.num_train_epochs", value: 2, source: WEST },
    // A batch of one, accumulated over two.
    { key: "train.prompts_per_step", value: 2, source: WEST },
    { key: "train.loss_type", value: "grpo", source: WEST },
    { key: "train.save_steps", value: 100, source: WEST },
    { key: "train.seed", value: 42, source: WEST },
    { key: "rollout.max_completion_length", value: 256, source: WEST },
    { key: "rollout.temperature", value: 1, source: WEST },
    { key: "data.prompt", value: "default", source: WEST },
  ],
};
