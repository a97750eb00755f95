import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { letteredOptions, type Prompt, userTurn } from "./prompt.ts";

/** The form of the answer that is asked for, by problem type. */
const FORMS: Readonly<Record<string, string>> = {
  "multiple choice": "Answer with the letter of the right option only.",
  emer_ov_mc: "Answer with the letters of all right options only, with commas between them.",
  numerical: "Answer with the number only.",
  judge: "Answer with Yes or No only.",
  "free-form": "Answer in a few words.",
};

/**
 * Question, options one a line, and the form of the answer, without tags or a thought: for training on
 * answers, and for measuring what a model knows without thinking aloud. The words are aubade's own.
 *
 * @throws {DataError} `no-prompt` for a problem type that it has no words for; `no-options`.
 */
export const directPrompt: Prompt = (row) => {
  const type = row.problem_type ?? "multiple choice";
  const form = Object.hasOwn(FORMS, type) ? FORMS[type] : undefined;
  if (form === undefined) {
    throw new DataError("no-prompt", `Row ${row.id} has problem_type ${quoted(type)}.`, {
      hint: `This prompt has words for ${Object.keys(FORMS).join(", ")}.`,
    });
  }
  const isChoice = type === "multiple choice" || type === "emer_ov_mc";
  const options = isChoice || row.options?.length ? letteredOptions(row) : [];
  return userTurn(row, [row.question, ...options, form].join("\n"));
};
