import {
  defaultPrompt,
  newPrompt,
  noThinkPrompt,
  thinkBrieflyPrompt,
  thinkPrompt,
} from "./audio-choice.ts";
import { contextPrompt } from "./context.ts";
import { directPrompt } from "./direct.ts";
import { dailyOmniPrompt, intentPrompt } from "./intent.ts";
import type { Prompt } from "./prompt.ts";

/** Prompt templates that a configuration can name; docs/rewards.md says which rewards fit which. */
export const PROMPTS = {
  default: defaultPrompt,
  think: thinkPrompt,
  "think-briefly": thinkBrieflyPrompt,
  "no-think": noThinkPrompt,
  new: newPrompt,
  intent: intentPrompt,
  "daily-omni": dailyOmniPrompt,
  direct: directPrompt,
  "context-think-answer": (row) => contextPrompt(row),
} as const satisfies Record<string, Prompt>;

/** Name of a prompt template. */
export type PromptName = keyof typeof PROMPTS;
