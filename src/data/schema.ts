import { z } from "zod";
import { type PromptName, PROMPTS } from "./prompts/prompts.ts";
import { KINDS } from "./tiny/questions.ts";

/** Data sets that a configuration can name. */
export const DATASETS = ["tiny", "jsonl"] as const;

/** What is trained on. */
export const dataSchema = z.strictObject({
  name: z
    .enum(DATASETS)
    .default("tiny")
    .describe(
      "Data set: `tiny` makes two-second clips with colours and sounds; `jsonl` reads the prompts of " +
        "`path` (GRPO).",
    ),
  path: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "JSON Lines file of `jsonl`: `prompt` (messages with media) or `question` and `media`, " +
        "`answer`, and where there are any `id`, `options`, `problem_type`, " +
        "`num_generations` (the size of the row's group in training).",
    ),
  prompt: z
    .enum(Object.keys(PROMPTS) as [PromptName, ...PromptName[]])
    .default("default")
    .describe(
      "Template that makes a prompt of `question`, `options` and `media` (docs/rewards.md).",
    ),
  check_rows: z
    .boolean()
    .default(true)
    .describe(
      "Whether every row that the run will use is decoded and measured before training; otherwise " +
        "only the first is, and one that does not fit ends the run when its turn comes.",
    ),
  over_budget: z
    .enum(["stop", "leave_out"])
    .default("stop")
    .describe(
      "What becomes of rows that do not fit: `stop` ends the run before it trains, `leave_out` names " +
        "them, goes on without them and counts them at every step.",
    ),
  seed: z
    .int()
    .min(0)
    .max(0xffffffff)
    .default(3)
    .describe("Seed of the generated clips; another seed gives other clips."),
  clips: z.int().positive().default(4000).describe("Number of different clips."),
  folder: z
    .string()
    .min(1)
    .default(".cache/clips")
    .describe("Folder that keeps the clip files, which are made when they are first needed."),
  kinds: z
    .array(z.enum(KINDS))
    .min(1, "at least one kind of question must be asked")
    .default(["see", "hear", "both"])
    .describe("Kinds of questions, asked in turn (GRPO)."),
});

/** What is trained on, checked. */
export type DataConfig = z.output<typeof dataSchema>;
