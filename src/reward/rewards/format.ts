import { lettersOf } from "../answer/choice.ts";
import { skipSpace } from "../../text/python.ts";
import { type Completion, defineReward, type RewardRow } from "../reward.ts";

/** The parts of a well-formed completion. */
interface StrictParts {
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
 * White space may part the two blocks, as in TRL and the other sources; nothing may stand before or
 * after. Thought and answer hold a visible character and no tag. Takes time linear in the text.
 */
function parseStrict(text: string): StrictParts | undefined {
  const [opening, middle, closing] = ["<think>", "</think>", "</answer>"] as const;
  const split = text.indexOf(middle);
  if (split < 0 || !text.startsWith(opening) || !text.endsWith(closing)) return undefined;
  const start = skipSpace(text, split + middle.length);
  if (!text.startsWith("<answer>", start)) return undefined;
  const thought = text.slice(opening.length, split);
  const answer = text.slice(start + "<answer>".length, -closing.length);
  if (!VISIBLE.test(thought) || !VISIBLE.test(answer)) return undefined;
  return MARKUP.test(thought) || MARKUP.test(answer) ? undefined : { thought, answer };
}

/**
 * Returns the letter of a well-formed and finished completion; undefined if it is not well-formed.
 */
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
