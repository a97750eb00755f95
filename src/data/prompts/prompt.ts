import { DataError } from "../../core/errors.ts";
import type { Conversation, MediaPart } from "../../text/chat-template.ts";

/** What prompts are made of. */
export interface PromptRow {
  readonly id: string;
  /** The question without its options. */
  readonly question: string;
  /** The options of a choice, with their letters or without. */
  readonly options?: readonly string[];
  /** What kind of answer is asked for: "multiple choice", "numerical", ... */
  readonly problem_type?: string;
  /** The media that the question is about, in their order. */
  readonly media: readonly MediaPart[];
}

/** Makes the conversation of a row: a pure function of the row. */
export type Prompt = (row: PromptRow) => Conversation;

/** One user turn: the media, then the text; before it a system turn where one is given. */
export function userTurn(row: PromptRow, text: string, system?: string): Conversation {
  const turn = { role: "user", content: [...row.media, { type: "text" as const, text }] };
  if (system === undefined) return [turn];
  return [{ role: "system", content: [{ type: "text", text: system }] }, turn];
}

/**
 * The options of a choice, which a prompt must show: without them a model answers blind.
 *
 * @throws {DataError} `no-options` that names the row.
 */
export function optionsOf(row: PromptRow): readonly string[] {
  if (row.options !== undefined && row.options.length > 0) return row.options;
  throw new DataError("no-options", `Row ${row.id} is a choice without options.`, {
    hint: "Give the row its options, or a problem_type that has none.",
  });
}

/** The options with `A. ` and so on before them, unless each bears its letter already. */
export function lettered(options: readonly string[]): string[] {
  const letter = (at: number): string => String.fromCharCode(65 + at);
  const own = options.every((option, at) =>
    new RegExp(`^\\s*\\(?${letter(at)}\\s*[.):]`).test(option),
  );
  return options.map((option, at) => (own ? option : `${letter(at)}. ${option}`));
}

/** A list of texts as Python prints it, which is how the audio recipes show choices. */
export function pythonList(texts: readonly string[]): string {
  return `[${texts.map(pythonText).join(", ")}]`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** Python's repr of a text, but for characters that it thinks unprintable. */
function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\\n\r\t]/g, (found) => ESCAPES[found]!);
  return `${quote}${quote === "'" ? inner.replaceAll("'", "\\'") : inner}${quote}`;
}
