import { DataError } from "../../core/errors.ts";
import type { Conversation, MediaPart } from "../../text/chat-template.ts";
import { lettered, OPTION_LETTERS } from "../../text/option-letters.ts";

/** The parts of a row from which prompts are made. */
export interface PromptRow {
  readonly id: string;
  /** The question without its options. */
  readonly question: string;
  /** The options of a choice, with their letters or without. */
  readonly options?: readonly string[];
  /** The kind of answer that is asked for: "multiple choice", "numerical", ... */
  readonly problem_type?: string;
  /** The media that the question is about, in their order. */
  readonly media: readonly MediaPart[];
}

/** Makes the conversation of a row: a pure function of the row. */
export type Prompt = (row: PromptRow) => Conversation;

/** Returns one user turn: the media, then the text; before it a system turn where one is given. */
export function userTurn(row: PromptRow, text: string, system?: string): Conversation {
  const turn = { role: "user", content: [...row.media, { type: "text" as const, text }] };
  if (system === undefined) return [turn];
  return [{ role: "system", content: [{ type: "text", text: system }] }, turn];
}

/**
 * Returns the options of a choice, which a prompt must show: without them a model answers blind.
 *
 * @throws {DataError} `no-options` that names the row.
 */
export function optionsOf(row: PromptRow): readonly string[] {
  if (row.options !== undefined && row.options.length > 0) return row.options;
  throw new DataError("no-options", `Row ${row.id} is a choice without options.`, {
    hint: "Give the row its options, or a problem_type that has none.",
  });
}

/**
 * Returns the options of a choice that is answered by a letter, each with its own before it.
 *
 * @throws {DataError} `no-options`, or `too-many-options` past Z, that names the row.
 */
export function letteredOptions(row: PromptRow): string[] {
  const options = optionsOf(row);
  if (options.length <= OPTION_LETTERS.length) return lettered(options);
  throw new DataError("too-many-options", `Row ${row.id} has ${options.length} options.`, {
    hint: "Letters reach to Z: give at most 26, or choose a prompt that asks for the words.",
  });
}

/** Returns a list of texts as Python prints it, which is how the audio recipes show choices. */
export function pythonList(texts: readonly string[]): string {
  return `[${texts.map(pythonText).join(", ")}]`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** Python's repr of a text: what it does not print, such as a no-break space, is escaped. */
function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\\p{C}\p{Z}]/gu, (found) =>
    found === " " ? found : (ESCAPES[found] ?? escaped(found.codePointAt(0)!)),
  );
  return `${quote}${quote === "'" ? inner.replaceAll("'", "\\'") : inner}${quote}`;
}

function escaped(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
