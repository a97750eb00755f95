import { DataError } from "../core/errors.ts";
import type { Conversation } from "../text/chat-template.ts";

/** A run of tokens: from `start` up to, not including, `end`. */
export interface TokenSpan {
  start: number;
  end: number;
}

/** Returns the token ids of the first messages of a conversation, laid out as a prompt is. */
export type Layer = (messages: number, addGenerationPrompt: boolean) => ArrayLike<number>;

/**
 * Finds the tokens that the assistant says in a laid out conversation: of each of its messages the
 * text and the token that ends it, which is what generation would have sampled.
 *
 * A message begins where the prompt before it, with its generation prompt, ends. Where the tokenizer
 * joins the last character of that prompt with the first of the message, the joined token counts.
 *
 * @param ids [tokens] the whole conversation, without a generation prompt.
 * @param endIds ids that end an answer.
 * @param row names the row in messages.
 * @throws {DataError} `no-answer-span` where the chat template writes a message otherwise when more
 *   follows, so that its tokens cannot be told.
 */
export function answerSpans(
  conversation: Conversation,
  ids: ArrayLike<number>,
  layer: Layer,
  endIds: readonly number[],
  row: string,
): TokenSpan[] {
  return conversation.flatMap(({ role }, message) => {
    if (role !== "assistant") return [];
    const before = layer(message, true);
    const start = commonLength(before, ids);
    const last = message === conversation.length - 1;
    const end = last ? ids.length : commonLength(layer(message + 1, false), ids);
    if (start < before.length - 1 || end <= start) throw rewritten(row, message);
    return [{ start, end: endOf(ids, start, end, endIds) }];
  });
}

function commonLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Returns the place behind the token that ends an answer; a line break may follow in its turn. */
function endOf(
  ids: ArrayLike<number>,
  start: number,
  end: number,
  endIds: readonly number[],
): number {
  for (let at = end - 1; at >= start; at--) if (endIds.includes(ids[at]!)) return at + 1;
  return end;
}

function rewritten(row: string, message: number): DataError {
  return new DataError(
    "no-answer-span",
    `${row}: the chat template does not repeat what it wrote before message ${message} (from 0), so the tokens of that answer cannot be told.`,
    { hint: "Give the row one answer, as its last message, or use a template that keeps turns." },
  );
}
