import { z } from "zod";
import type { DataContext, OpenedData } from "../dataset.ts";
import { type PromptName, PROMPTS } from "../prompts/prompts.ts";
import { openJsonl } from "./dataset.ts";

const settings = {
  path: z
    .string()
    .min(1)
    .describe(
      "File of rows: `prompt` (messages with media) or `question` and `media`, `answer`, and where " +
        "there are any `id`, `options`, `problem_type`, `num_generations` (docs/data.md).",
    ),
  prompt: z
    .enum(Object.keys(PROMPTS) as [PromptName, ...PromptName[]])
    .default("default")
    .describe(
      "Template that makes a prompt of `question`, `options` and `media` (docs/rewards.md).",
    ),
};

interface Settings {
  path: string;
  prompt: PromptName;
}

/** Rows of a file of the user's own. */
export const JSONL = {
  doc: "rows of a file of your own",
  settings,
  asked: settings,
  async open({ path, prompt }: Settings, _context: DataContext): Promise<OpenedData> {
    return { set: await openJsonl(path, prompt) };
  },
};
