import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { Conversation } from "../../text/chat-template.ts";
import { letteredOptions, userTurn, type PromptRow } from "./prompt.ts";

/**
 * The system turn that asks for the three blocks.
 *
 * HumanOmniV2's demands in aubade's words. To go on from a checkpoint of theirs, give
 * `contextPrompt` their own text.
 */
export const CONTEXT_SYSTEM_PROMPT = `You are a helpful assistant. Study every image, video, sound and text that you are given before you answer.

First write down what you perceive in them between <context> and </context>. Then reason about the question between <think> and </think>; look and listen again wherever you are not sure, and check your reasoning. Last give your answer between <answer> and </answer>.`;

const WITHIN = "within the <answer> </answer> tags.";

/** The instruction for each problem type. */
const INSTRUCTIONS: Readonly<Record<string, string>> = {
  "multiple choice": ` Please provide only the single option letter (e.g., A, B, C, D, etc.) ${WITHIN}`,
  numerical: ` Please provide the numerical value (e.g., 42 or 3.14) ${WITHIN}`,
  OCR: ` Please transcribe text from the image/video clearly and provide your text answer ${WITHIN}`,
  "free-form": ` Please provide your text answer ${WITHIN}`,
  regression: ` Please provide the numerical value (e.g., 42 or 3.14) ${WITHIN}`,
  emer_ov_mc: ` Please provide only the single or multiple option letter (e.g., A for single option or A,E for multi option, etc.) ${WITHIN}`,
  judge: ` Please answer Yes or No ${WITHIN}`,
};

/**
 * Context, thought and answer: a system turn that asks for the three blocks; then the media, a
 * sentence that tells whether there is sound, the question, its options one a line, and the form of
 * the answer.
 *
 * Source: HumanMLLM/HumanOmniV2 `src/open_r1/grpo_qwenomni.py`, `_make_conversation_image_and_video`
 * (9bf0e6f, 2025-07-01); the system turn is aubade's own unless `system` is given.
 *
 * @throws {DataError} `no-prompt` for a problem type that the source has no words for.
 */
export function contextPrompt(row: PromptRow, system = CONTEXT_SYSTEM_PROMPT): Conversation {
  const type = row.problem_type ?? "multiple choice";
  const instruction = Object.hasOwn(INSTRUCTIONS, type) ? INSTRUCTIONS[type] : undefined;
  if (instruction === undefined) {
    throw new DataError("no-prompt", `Row ${row.id} has problem_type ${quoted(type)}.`, {
      hint: `This prompt has words for ${Object.keys(INSTRUCTIONS).join(", ")}.`,
    });
  }
  let { question } = row;
  if (type === "multiple choice" || type === "emer_ov_mc") {
    question += " Options:\n";
    for (const option of letteredOptions(row)) question += `${option}\n`;
  }
  return userTurn(row, `${soundSentence(row)}${question}\n${instruction}`, system);
}

/** Returns the sentence about sound, as the source spells it. */
function soundSentence({ media }: PromptRow): string {
  const seen = media.find((part) => part.type !== "audio");
  if (seen === undefined) return "";
  const heard =
    media.some((part) => part.type === "audio") ||
    (seen.type === "video" && seen.use_audio_in_video === true);
  if (heard && seen.type === "image") return "Here is the image, with the coresponding audio.\n";
  if (heard) return "Here is a video, with the audio from the video.\n";
  return `Here is the ${seen.type}, and there is no audio information, you don't need to process the audio.\n`;
}
