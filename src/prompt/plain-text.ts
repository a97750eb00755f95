import { DataError } from "../core/errors.ts";
import type { Conversation } from "../text/chat-template.ts";

/**
 * Refuses texts that spell a token which marks a medium or a turn: the tokenizer would take it for
 * one, and the prompt would say something else than its row.
 *
 * Neighbouring parts are read as one text, as the template joins them.
 *
 * @param marks the spellings of such tokens.
 * @throws {DataError} `token-in-text` that names the row, the message and the token.
 */
export function checkPlainText(
  row: string,
  conversation: Conversation,
  marks: readonly string[],
): void {
  for (const [i, { role, content }] of conversation.entries()) {
    const text =
      typeof content === "string"
        ? content
        : content.map((part) => (part.type === "text" ? part.text : "\0")).join("");
    const mark = marks.find((spelling) => text.includes(spelling));
    if (mark === undefined) continue;
    throw new DataError(
      "token-in-text",
      `${row}: the text of message ${i + 1} (${role}) holds ${mark}, a token that marks media or turns.`,
      { hint: "Take it out of the text, or put a space into it; media are parts of their own." },
    );
  }
}
