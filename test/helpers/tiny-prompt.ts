import { thoughtWords, type Question } from "../../src/datasets/tiny/questions.ts";
import type { TinyIds } from "../../src/datasets/tiny/words.ts";

/**
 * The prompt up to and including the clip: 73 ids of which 66 are placeholders.
 *
 * media: the ids of the clip's placeholders in the order of the model's processor.
 */
export function clipPromptIds(ids: TinyIds, media: readonly number[]): number[] {
  const { imStart, user, newline, visionBos, visionEos, audioBos, audioEos } = ids.tags;
  return [imStart, user, newline, visionBos, audioBos, ...media, audioEos, visionEos];
}

/** The order of a clip's 66 placeholders: 8 video, 25 audio, twice, for chunks of one second. */
export function clipPlaceholders(ids: TinyIds): number[] {
  const chunk = [
    ...Array.from({ length: 8 }, () => ids.tags.video),
    ...Array.from({ length: 25 }, () => ids.tags.audio),
  ];
  return [...chunk, ...chunk];
}

/** The perfect completion of a question, without the end token. */
export function completionText(question: Question): string {
  const thought = thoughtWords(question).map((word) => ` ${word}`);
  return `<think>${thought.join("")}</think><answer>${question.letter}</answer>`;
}
