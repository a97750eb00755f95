/** Why no option could be read. */
export type Unread =
  | "nothing is said"
  | "no option is named"
  | "several options are named"
  | "letter and words differ"
  | "the letter is none of the options"
  | "options are only denied";

/** An option that a text chooses. */
export interface ReadAnswer {
  /** How the text says it: by its letter, its words, both, or its place from 0. */
  kind: "letter" | "words" | "both" | "index";
  /** The letter of the option. */
  letter: string;
  /** The words of the option as the row has them; undefined where the row names none. */
  words: string | undefined;
  /** The span of text that says it. */
  span: readonly [start: number, end: number];
}

/** A text of which no option could be read. */
export interface UnreadAnswer {
  kind: "unparsed";
  /** A phrase for messages. */
  reason: Unread;
}

/** The reading of a text. */
export type ParsedAnswer = ReadAnswer | UnreadAnswer;

/** An answer within a part of a text. */
export type PartAnswer =
  { kind: "letter" | "words" | "both"; letter: string; at: number; end: number } | UnreadAnswer;

/** Makes an answer that could not be read. */
export function unread(reason: Unread): UnreadAnswer {
  return { kind: "unparsed", reason };
}
