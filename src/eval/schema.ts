import { z } from "zod";
import { DATASETS } from "../data/schema.ts";

/** What is measured, always greedily and with a fixed denominator. */
export const evalSchema = z.strictObject({
  name: z
    .enum(DATASETS)
    .nullable()
    .default("tiny")
    .describe("Data set of the held-out questions; null for no evaluation."),
  path: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("JSON Lines file of held-out prompts, of which the first `questions` are asked."),
  seed: z
    .int()
    .min(0)
    .max(0xffffffff)
    .default(2)
    .describe("Seed of the held-out clips; it must differ from the seed of the training clips."),
  questions: z
    .int()
    .positive()
    .default(300)
    .describe("Questions asked, each about another clip: the denominator of every accuracy."),
  controls: z
    .array(z.enum(["muted", "blank"]))
    .default([])
    .describe("Evaluations repeated after training without sound or with a flat grey picture."),
});

/** What is measured, checked. */
export type EvalConfig = z.output<typeof evalSchema>;
