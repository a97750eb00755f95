import { z } from "zod";

/** How completions are sampled during training: TRL's names and defaults. */
export const rolloutSchema = z.strictObject({
  temperature: z
    .number()
    .positive("sampling divides the logits by it, so it must be above 0")
    .default(1)
    .describe("Divisor of the logits; evaluation is greedy whatever this says."),
  top_p: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("Smallest probability mass kept by nucleus sampling; 1 keeps all."),
  top_k: z.int().min(0).default(0).describe("Most likely tokens kept; 0 keeps all."),
  min_p: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .default(null)
    .describe("Least probability kept, as a fraction of the greatest; null keeps all."),
  repetition_penalty: z
    .number()
    .positive()
    .default(1)
    .describe("Divisor of the logits of tokens already seen; 1 is off."),
  max_completion_length: z
    .int()
    .positive()
    .default(512)
    .describe("Most tokens of a completion, its end token included."),
  max_tokens_per_batch: z
    .int()
    .positive()
    .default(32_768)
    .describe(
      "Most tokens, of prompts and of the room for their completions, that are generated at a time: " +
        "more groups take turns, which bounds memory and changes no choice but by rounding.",
    ),
  max_batches_per_step: z
    .int()
    .positive()
    .default(1)
    .describe(
      "Most rollout batches of a step: above 1, groups whose rewards are all equal are replaced by " +
        "groups of further prompts (dynamic sampling).",
    ),
  over_sampling: z
    .number()
    .min(1)
    .default(1)
    .describe("Prompts that are rolled out for each one that a step needs."),
});

/** How completions are sampled, checked. */
export type RolloutConfig = z.output<typeof rolloutSchema>;
