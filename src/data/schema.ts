import { z } from "zod";

/** Data sets that a configuration can name. */
export const DATASETS = ["tiny"] as const;

/** Kinds of questions of the tiny task; `both2` is asked in supervised training only. */
export const TINY_KINDS = ["see", "hear", "both", "both2"] as const;

/** What is trained on. */
export const dataSchema = z.strictObject({
  name: z
    .enum(DATASETS)
    .default("tiny")
    .describe("Data set: `tiny` makes two-second clips with colours and sounds."),
  seed: z
    .int()
    .min(0)
    .max(0xffffffff)
    .default(3)
    .describe("Seed of the generated clips; another seed gives other clips."),
  clips: z.int().positive().default(4000).describe("Number of different clips."),
  kinds: z
    .array(z.enum(TINY_KINDS))
    .min(1, "at least one kind of question must be asked")
    .default(["see", "hear", "both"])
    .describe("Kinds of questions, asked in turn."),
});

/** What is trained on, checked. */
export type DataConfig = z.output<typeof dataSchema>;
