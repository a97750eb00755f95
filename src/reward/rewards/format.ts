import { lettersOf } from "../answer/choice.ts";
import { type Completion, defineReward, type RewardRow } from "../reward.ts";

/** The parts of a well-formed completion. */
export interface StrictParts {
  thought: string;
  answer: string;
}

/** A tag of the pattern or a marker of the chat format, neither of which is a thought. */
const MARKUP = /<\/?(?:think|answer)\b|<\|/i;

/** A character that can be seen: no space, zero-width character, filler, blank or lone accent. */
const VISIBLE = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * Takes a completion apart if it is exactly `<think>THOUGHT</think><answer>ANSWER</answer>`.
 *
 * Nothing may stand before, between or after; thought and answer hold a visible character and no
 * tag. Takes time linear in the text.
 */
export function parseStrict(text: string): StrictParts | undefined {
  const [opening, middle, closing] = ["<think>", "</think><answer>", "</answer>"] as const;
  const split = text.indexOf("</think>");
  if (!text.startsWith(opening) || !text.startsWith(middle, split)) return undefined;
  if (split < 0 || !text.endsWith(closing)) return undefined;
  const thought = text.slice(opening.length, split);
  const answer = text.slice(split + middle.length, -closing.length);
  // With an empty answer the closing tag could overlap the middle; then nothing is left.
  if (text.length < split + middle.length + closing.length) return undefined;
  if (!VISIBLE.test(thought) || !VISIBLE.test(answer)) return undefined;
  return MARKUP.test(thought) || MARKUP.test(answer) ? undefined : { thought, answer };
}

/** The letter of a well-formed and finished completion; undefined if it is not well-formed. */
export function strictLetter(completion: Completion, row: RewardRow): string | undefined {
  if (!completion.finished) return undefined;
  const answer = parseStrict(completion.text)?.answer;
  return answer?.length === 1 && lettersOf(row).includes(answer) ? answer : undefined;
}

/**
 * 1 for the whole pattern: one thought, one answer that is one option's letter, the end token
 * within the limit; 0 otherwise. Says nothing about whether the letter is right.
 */
export const formatReward = defineReward("format", (completion, row) =>
  strictLetter(completion, row) === undefined ? 0 : 1,
);
