import { z } from "zod";
import { STORAGE_NAMES, STORAGE_TYPES } from "../core/storage-types.ts";

/** Which weights a run starts from and how they are held. */
export const modelSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .meta({ format: "model" })
    .describe("Folder with config.json, tokenizer and safetensors, or a name on the Hub."),
  revision: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Branch, tag or commit on the Hub; null for its main branch."),
  init: z
    .enum(["weights", "random"])
    .default("weights")
    .describe("`weights` loads the safetensors; `random` draws new weights from train.seed."),
  storage: z
    .enum(STORAGE_NAMES)
    .default("f32")
    .describe(
      `Storage of frozen weights. ${Object.entries(STORAGE_TYPES)
        .map(([name, { doc }]) => `\`${name}\`: ${doc}`)
        .join("; ")}. Trained weights are always f32.`,
    ),
});

/** Which weights a run starts from, checked. */
export type BaseModelConfig = z.output<typeof modelSchema>;
