import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { letteredOptions, userTurn, type Prompt, type PromptRow } from "./prompt.ts";

const THINK = " First reason briefly between <think> </think> tags, then";

/** The instruction for each problem type, each with an example of the format. */
const INSTRUCTIONS: Readonly<Record<string, string>> = {
  "multiple choice": `${THINK} output only the single option letter (e.g., A, B, C, D, ...) between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>A</answer>`,
  emer_ov_mc: `${THINK} output the single or multi-letter answer (e.g., A for single, A,E for multiple) between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>A,E</answer>`,
  numerical: `${THINK} output the numerical value (e.g., 42 or 3.14) between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>42</answer>`,
  judge: `${THINK} answer Yes or No between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>Yes</answer>`,
  "free-form": `${THINK} provide your final text answer between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>your answer</answer>`,
};

/**
 * Question, options one a line, and the format with an example: without the example a base model
 * answers with a bare letter and no tag reward is ever paid.
 *
 * Source: NVIDIA-NeMo/RL `nemo_rl/data/datasets/response_datasets/intent.py` (7ea279abf, 2026-08-22).
 * The options bear letters in its data; where they do not, letters are put before them here.
 *
 * @throws {DataError} `no-prompt` for a problem type that the source has no words for.
 */
export const intentPrompt: Prompt = (row) => {
  const type = row.problem_type ?? "multiple choice";
  const options = row.options?.length || isChoice(type) ? ` Options:\n${lines(row)}` : "";
  return userTurn(row, `${row.question}${options}${instruction(type, row)}`);
};

/**
 * Question and options one a line, with the format and example of `intent`: how Daily-Omni is asked
 * when models with tags are evaluated.
 *
 * Source: NVIDIA-NeMo/RL, Daily-Omni evaluation of pull request 2823 (7ea279abf, 2026-08-22).
 */
export const dailyOmniPrompt: Prompt = (row) =>
  userTurn(row, `${row.question}\n${lines(row)}${instruction("multiple choice", row)}`);

function isChoice(type: string): boolean {
  return type === "multiple choice" || type === "emer_ov_mc";
}

function lines(row: PromptRow): string {
  return letteredOptions(row).join("\n");
}

function instruction(type: string, row: PromptRow): string {
  const text = Object.hasOwn(INSTRUCTIONS, type) ? INSTRUCTIONS[type] : undefined;
  if (text !== undefined) return text;
  throw new DataError("no-prompt", `Row ${row.id} has problem_type ${quoted(type)}.`, {
    hint: `This prompt has words for ${Object.keys(INSTRUCTIONS).join(", ")}.`,
  });
}
