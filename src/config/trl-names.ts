import { allFields, runJsonSchema } from "./fields.ts";

const FROZEN_16 =
  "Weights that train and all sums are f32; model.storage=f16s holds frozen weights in 16 bits.";
const BATCH =
  "A step takes train.prompts_per_step prompts x train.num_generations completions; it is cut to fit the GPU by train.max_tokens_per_pass, which changes no number.";
const ENGINE = "Leave it out: the weights that train also generate, so there is no second engine.";
const LORA =
  "Adapters are the section train.lora, for example train.lora='{r: 16, lora_alpha: 32}'.";

/**
 * Settings of TRL's GRPOConfig and of transformers' TrainingArguments that have another name here,
 * with what to write instead.
 *
 * Source: huggingface.co/docs/trl/grpo_trainer, huggingface.co/docs/transformers/main_classes/trainer.
 */
const EQUIVALENTS: Readonly<Record<string, string>> = {
  ...{
    bf16: FROZEN_16,
    fp16: FROZEN_16,
    tf32: FROZEN_16,
    torch_dtype: FROZEN_16,
    dtype: FROZEN_16,
  },
  ...{ gradient_accumulation_steps: BATCH, per_device_train_batch_size: BATCH },
  ...{ train_batch_size: BATCH, generation_batch_size: BATCH, batch_size: BATCH },
  steps_per_generation: "The updates of a step are train.num_minibatches.",
  per_device_eval_batch_size:
    "rollout.max_tokens_per_batch bounds how many prompts are answered together.",
  ...{ use_vllm: ENGINE, vllm_mode: ENGINE, vllm_gpu_memory_utilization: ENGINE },
  ...{ vllm_server_host: ENGINE, vllm_server_port: ENGINE, vllm_tensor_parallel_size: ENGINE },
  ...{
    use_peft: LORA,
    lora_r: LORA,
    lora_alpha: LORA,
    lora_target_modules: LORA,
    lora_dropout: LORA,
  },
  model_name_or_path: "It is model.path.",
  model_init_kwargs: "How the model is held is the section model.",
  output_dir: "It is output.run_dir.",
  overwrite_output_dir:
    "A run folder is never overwritten: name another output.run_dir, or --resume.",
  resume_from_checkpoint: "Resume by --resume, or --resume PATH of a run or checkpoint.",
  dataset_name: "Data are the section data: data.name=jsonl data.path=rows.jsonl.",
  dataset_train_split: "Data are the section data; validation is the section eval.",
  max_prompt_length:
    "No prompt is cut: data.over_budget says what happens to a row that does not fit.",
  reward_weights: "Each reward has its weight: rewards.0.weight=0.5.",
  reward_funcs: "Rewards are the list rewards: rewards='[{name: correct, weight: 1}]'.",
  save_total_limit: "It is output.keep_last.",
  ...{ save_strategy: "Save by train.save_steps or train.save_minutes." },
  ...{
    evaluation_strategy: "Evaluate by train.eval_steps.",
    eval_strategy: "Evaluate by train.eval_steps.",
  },
  load_best_model_at_end: "output.keep_best keeps the best checkpoint by a metric.",
  metric_for_best_model: "It is output.keep_best.",
  logging_strategy: "Log by train.logging_steps.",
  logging_dir: "TensorBoard's events are in the run folder's tb/.",
  run_name: "A run is named by its folder, output.run_dir.",
  warmup_ratio: "Give the steps themselves: train.warmup_steps.",
  optim: "The optimizer is AdamW with f32 moments.",
  ...{ adam_eps: "It is train.adam_epsilon.", lr: "It is train.learning_rate." },
  kl_coef: "It is train.beta.",
  ...{
    deepspeed: "One GPU needs no sharding: leave it out.",
    fsdp: "One GPU needs no sharding: leave it out.",
  },
  ...{ ddp_find_unused_parameters: "One GPU needs no sharding: leave it out." },
  attn_implementation: "The attention kernels are chosen by the GPU: leave it out.",
  dataloader_num_workers: "Media are decoded while the step before trains: leave it out.",
  remove_unused_columns: "Rows keep all their columns, and rewards see them: leave it out.",
  log_completions: "It is output.completions; rollouts.jsonl has every completion anyway.",
  push_to_hub: "aubade export writes a folder that the Hub takes: docs/checkpoints.md.",
  ...{
    data_seed: "It is train.seed.",
    max_completion_tokens: "It is rollout.max_completion_length.",
  },
  max_new_tokens: "It is rollout.max_completion_length.",
};

/** The sections that a name may mean where several have it, likeliest first. */
const SECTIONS = ["train", "rollout", "model", "output", "data", "eval"];

/** Dotted paths of the settings that end with a name, likeliest first. */
function settingsNamed(name: string): string[] {
  const rank = (path: string): number => {
    const at = SECTIONS.indexOf(path.split(".")[0]!);
    return at === -1 ? SECTIONS.length : at;
  };
  return allFields()
    .map(({ path }) => path)
    .filter((path) => path.split(".").length === 2 && path.endsWith(`.${name}`))
    .sort((a, b) => rank(a) - rank(b));
}

/** Says what stands here for a name that users of other trainers know; undefined for any other. */
export function equivalent(name: string): string | undefined {
  const key = name.replaceAll("-", "_");
  if (Object.hasOwn(EQUIVALENTS, key)) return EQUIVALENTS[key];
  const settings = settingsNamed(key);
  return settings.length === 0 ? undefined : `Did you mean ${settings.join(", or ")}?`;
}

/**
 * Reads `max_steps=5` as `train.max_steps=5`: a setting of `train` may be named without its section,
 * as TRL's users write it.
 *
 * @returns the override to apply; the same one where it names its section or nothing of `train`.
 */
export function withSection(override: string): string {
  const name = override.split("=")[0]!.trim();
  const { train, ...sections } = runJsonSchema().properties ?? {};
  const known = (at: object | undefined): boolean => Object.hasOwn(at ?? {}, name);
  return !known({ ...sections, train }) && known(train?.properties)
    ? `train.${override}`
    : override;
}
