import { z } from "zod";

/** The section `rollout`: sampling of completions in training, with TRL's names and defaults. */
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
    .describe("Minimum probability kept, as a fraction of the maximum; null keeps all."),
  repetition_penalty: z
    .number()
    .positive()
    .default(1)
    .describe("Divisor of the logits of tokens already seen; 1 is off."),
  max_completion_length: z
    .int()
    .positive()
    .default(512)
    .describe("Maximum tokens of a completion, its end token included."),
  max_tokens_per_batch: z
    .int()
    .positive()
    .default(32_768)
    .describe(
      "Maximum tokens, of prompts and of the room for their completions, that are generated at a time: " +
        "more groups take turns, which bounds memory and changes no choice but by rounding.",
    ),
  max_batches_per_step: z
    .int()
    .positive()
    .default(1)
    .describe(
      "Maximum rollout batches of a step: above 1, groups whose rewards are all equal are replaced by " +
        "groups of further prompts (dynamic sampling).",
    ),
  over_sampling: z
    .number()
    .min(1)
    .default(1)
    .describe("Prompts that are rolled out for each one that a step needs."),
});

/** Settings of the section `rollout`. */
export type RolloutConfig = z.output<typeof rolloutSchema>;
