import { z } from "zod";
import { dataSchema } from "../datasets/schema.ts";
import { DATA_SETS } from "../datasets/registry.ts";
import type { RegisteredData } from "../data/dataset.ts";
import { benchmarksOf, evalSchema } from "../eval/schema.ts";
import { deviceSchema } from "../gpu/schema.ts";
import { EXPORT_DTYPES } from "../checkpoint/export.ts";
import { modelSchema } from "../model/schema.ts";
import { metricInfo } from "../observe/metrics.ts";
import { healthSchema, reportToSchema } from "../observe/schema.ts";
import type { PolicyFormula } from "../policy/loss/formula.ts";
import { LOSSES } from "../policy/loss/losses.ts";
import { rewardsSchema } from "../reward/schema.ts";
import { rolloutSchema } from "../rollout/schema.ts";
import { sftSchema, trainSchema } from "../train/schema.ts";

/** The section of a run's files. */
const outputSchema = z.strictObject({
  run_dir: z
    .string()
    .min(1)
    .meta({ format: "path" })
    .nullable()
    .default(null)
    .describe("Run folder; null makes the next free runs/NAME-NUMBER, NAME being the YAML's."),
  keep_last: z
    .int()
    .positive()
    .default(2)
    .describe("Checkpoints kept; older ones are deleted once a newer one is whole."),
  keep_best: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "Metric of a step, such as `reward`, whose best checkpoint is kept besides, by its mean over " +
        "the steps since the checkpoint before; null keeps by age alone.",
    ),
  greater_is_better: z
    .boolean()
    .default(true)
    .describe("Whether larger values of `keep_best` are better."),
  export_dtype: z
    .enum(EXPORT_DTYPES)
    .nullable()
    .default("f32")
    .describe(
      "Type of the model that a finished run leaves in its folder, and that its last evaluation " +
        "loads; null leaves none. 16-bit types round small changes away: export.json counts them. " +
        "Adapters are always f32.",
    ),
  rollouts: z
    .boolean()
    .default(true)
    .describe(
      "Whether every completion is written to rollouts.jsonl, every answer to answers.jsonl.",
    ),
  tensorboard: z.boolean().default(true).describe("Whether TensorBoard events are written."),
  trace: z
    .boolean()
    .default(false)
    .describe("Whether trace.json says where every step's time went, for ui.perfetto.dev."),
  completions: z
    .boolean()
    .default(false)
    .describe(
      "Whether the completions of every logged step are written as parquet with TRL's columns, " +
        "`completions/completions_00010.parquet`.",
    ),
  metric_aliases: z
    .boolean()
    .default(false)
    .describe("Whether metrics are logged under other programs' names too; docs/metrics.md."),
  report_to: reportToSchema,
});

/** A whole run, section by section; each section's schema lives with its owner. */
export const runSchema = z
  .strictObject({
    task: z
      .enum(["grpo", "sft"])
      .default("grpo")
      .describe("`grpo` learns from rewards; `sft` learns from given answers."),
    model: modelSchema.describe("Which weights the run starts from and how they are held."),
    data: dataSchema.prefault({}).describe("What is trained on."),
    rollout: rolloutSchema.prefault({}).describe("How completions are sampled (GRPO)."),
    rewards: rewardsSchema,
    train: trainSchema.prefault({}).describe("How weights are trained."),
    sft: sftSchema.prefault({}).describe("Which answers are learned, and how (`task: sft`)."),
    eval: evalSchema.describe(
      "What is measured before, during and after: a benchmark, a list of them, or null for none.",
    ),
    device: deviceSchema
      .prefault({})
      .describe("How the GPU is used; WebGPU itself prefers the fastest."),
    health: healthSchema
      .prefault({})
      .describe(
        "Rules that judge the run as it goes; health.md in the run folder has the verdict.",
      ),
    output: outputSchema.prefault({}).describe("Where the run's files go."),
  })
  .superRefine((run, context) => {
    const report = (path: (string | number)[], message: string, remedy: string): void => {
      context.addIssue({ code: "custom", path, message, params: { remedy } });
    };
    if (run.task === "grpo" && run.data.name === "tiny" && run.data.kinds.includes("both2")) {
      report(["data", "kinds"], "`both2` has no rewarded form", "Leave it to supervised training.");
    }
    if (run.task === "grpo" && run.rewards.every((reward) => reward.weight === 0)) {
      report(["rewards"], "no reward has a weight other than 0", "Give one a weight of 1.");
    }
    const benchmarks = benchmarksOf(run.eval);
    benchmarks.forEach(({ name, settings, listed }, at) => {
      const place = listed ? ["eval", at] : ["eval"];
      const entry: RegisteredData = DATA_SETS[run.data.name];
      const shared =
        settings.name === run.data.name && entry.overlap?.(run.data as never, settings as never);
      if (shared) report([...place, shared.key], shared.message, shared.remedy);
      const { n, temperature } = settings.decoding;
      if (n > 1 && temperature === 0) {
        report(
          [...place, "decoding", "temperature"],
          `greedy decoding gives one answer, not decoding.n of ${n}`,
          "Set it above 0, such as 0.7, or decoding.n to 1.",
        );
      }
      if (benchmarks.findIndex((other) => other.name === name) < at) {
        report(
          [...place, "as"],
          `two benchmarks are called ${name}`,
          "Give each a name of its own.",
        );
      }
    });
    if (run.output.report_to.length > 0 && !run.output.tensorboard) {
      report(
        ["output", "tensorboard"],
        `output.report_to (${run.output.report_to.join(", ")}) needs the TensorBoard events`,
        "Set it to true.",
      );
    }
    const { keep_best: best } = run.output;
    const known = best === "eval_loss" ? run.sft.eval_data !== null : !best?.startsWith("eval");
    if (best !== null && (metricInfo(best) === undefined || !known)) {
      report(
        ["output", "keep_best"],
        `a step measures no ${best}`,
        "Name a metric of a step (docs/metrics.md), such as reward.",
      );
    }
    const formula: PolicyFormula = LOSSES[run.train.loss_type];
    const refusal = formula.refuses?.(run.train);
    if (refusal !== undefined) report(["train", refusal.key], refusal.message, refusal.remedy);
    const trained = ["tune_mm_llm", "tune_mm_vision", "tune_mm_audio", "tune_mm_mlp"] as const;
    if (trained.every((name) => !run.train[name])) {
      report(["train", "tune_mm_llm"], "every part of the model is frozen", "Set it to true.");
    }
    const { lora, beta, measure_kl: measured, sync_ref_model: moves } = run.train;
    if (run.train.kl_in_reward && beta === 0) {
      report(
        ["train", "kl_in_reward"],
        "there is no KL to take off rewards at beta 0",
        "Set train.beta above 0, or kl_in_reward to false.",
      );
    }
    if (run.train.kl_in_reward && run.train.advantage_estimator === "gdpo") {
      report(
        ["train", "kl_in_reward"],
        "`gdpo` takes its advantages from the rewards one by one, not from their sum less a KL",
        "Set it to false, which leaves the KL in the loss.",
      );
    }
    if (moves && beta === 0 && !measured) {
      report(
        ["train", "sync_ref_model"],
        "there is no reference policy to move at beta 0",
        "Set train.beta above 0, or sync_ref_model to false.",
      );
    }
    for (const name of ["sync_ref_model", "ref_model_offload"] as const) {
      if (!lora || !run.train[name]) continue;
      report(
        ["train", name],
        "with adapters the reference is the model without them, of which there is no copy",
        "Set it to false.",
      );
    }
    if (lora && run.model.init === "random") {
      report(
        ["model", "init"],
        "adapters alone are saved, and new random weights would be lost",
        "Set it to weights, or train.lora to null.",
      );
    }
  });

/** A run as its YAML writes it: every field with a default may be absent. */
export type RunInput = z.input<typeof runSchema>;
/** A run, checked, with every default filled in. */
export type RunConfig = z.output<typeof runSchema>;
