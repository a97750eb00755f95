import { z } from "zod";
import type { DataContext, OpenedData } from "../../data/dataset.ts";
import { type PromptName, PROMPTS } from "../../data/prompts/prompts.ts";
import { type FormName, FORMS } from "../../data/forms/forms.ts";
import { openJsonl } from "./dataset.ts";

const settings = {
  path: z
    .string()
    .min(1)
    .meta({ format: "path" })
    .describe(
      "File of rows: JSON Lines, a JSON array (`.json`), CSV (`.csv`) or Parquet (`.parquet`); " +
        "docs/data.md has their keys.",
    ),
  format: z
    .enum(["auto", ...Object.keys(FORMS)] as ["auto", ...FormName[]])
    .default("auto")
    .describe(
      `Form of the rows; \`auto\` finds it by the keys of each. ${Object.entries(FORMS)
        .map(([name, { doc }]) => `\`${name}\`: ${doc}`)
        .join("; ")}.`,
    ),
  prompt: z
    .enum(Object.keys(PROMPTS) as [PromptName, ...PromptName[]])
    .default("intent")
    .describe(
      "Template that makes a prompt of `question`, `options` and `media` (docs/rewards.md).",
    ),
};

/** Its settings, checked. */
export interface JsonlSettings {
  path: string;
  format: FormName | "auto";
  prompt: PromptName;
}

/** Rows of a file of the user's own. */
export const JSONL = {
  doc: "rows of a file of your own: JSON Lines, a JSON array, CSV or Parquet",
  settings,
  asked: settings,
  async open(
    { path, prompt, format }: JsonlSettings,
    { answered }: DataContext,
  ): Promise<OpenedData> {
    const form = format === "auto" ? undefined : format;
    return { set: await openJsonl(path, prompt, form, answered) };
  },
};
