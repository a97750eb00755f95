/** The right answer of a row, in the forms that data sets write it, checked before a run trains. */
import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { RewardRow } from "../reward.ts";
import { goldOf } from "../gold-text.ts";
import { strip } from "../../text/python.ts";
import { choiceOf } from "./choice.ts";
import { parseBareAnswer } from "./parse.ts";

/** Characters of an answer that a message repeats. */
const MOST_SHOWN = 80;

/** The problem type of choices that may have several right options, one of them all the same. */
const SEVERAL = "emer_ov_mc";
/** Letters of several options. */
const LIST = /^[A-Z](?:\s*,\s*[A-Z])+$/;
/** Rows of which an error tells. */
const TOLD = 5;

/** The right answer of a row. */
export type GoldAnswer =
  /** An option: its letter, and its words where the row has them. */
  | { kind: "option"; letter: string; words: string | undefined }
  /** Several options: their letters or words with commas between, as the row has them. */
  | { kind: "several"; text: string }
  /** No choice: a number, words, a list. */
  | { kind: "open"; text: string }
  /** The row has none. */
  | { kind: "none" };

/**
 * Reads the right answer of a row: of a choice the letter, the words or both in every usual spelling,
 * or the place from 0 as `answer_index`.
 *
 * @throws {DataError} `gold-not-an-option` where the row has options and its answer is none of them;
 * `gold-index` where `answer_index` is no place of an option, or of another one than `answer`.
 */
export function goldAnswer(row: RewardRow): GoldAnswer {
  const gold = goldOf(row);
  const count = row.options?.length ?? 0;
  const indexed = row.answer_index === undefined ? undefined : optionAt(row, row.answer_index);
  if (gold === "") return indexed ?? { kind: "none" };
  if (row.problem_type === SEVERAL || (count > 0 && LIST.test(gold))) {
    if (count > 0) for (const item of gold.split(",")) optionOf({ ...row, answer: item }, gold);
    return { kind: "several", text: gold };
  }
  if (count === 0) {
    const answer = parseBareAnswer(gold, row);
    if (answer.kind === "unparsed" || !/^\W?[A-Za-z]\W{0,2}$/.test(gold)) {
      return { kind: "open", text: gold };
    }
    return { kind: "option", letter: answer.letter, words: undefined };
  }
  const option = optionOf(row, gold);
  if (indexed !== undefined && indexed.letter !== option.letter) {
    throw new DataError(
      "gold-index",
      `Row ${row.id} has answer ${quoted(row.answer, MOST_SHOWN)}, which is ${option.letter}, and answer_index ${row.answer_index}, which is ${indexed.letter}.`,
      { hint: "Leave one of the two out; answer_index counts from 0." },
    );
  }
  return option;
}

function optionAt(row: RewardRow, index: number): GoldAnswer & { kind: "option" } {
  const { letters, options } = choiceOf(row);
  const letter = row.options?.length ? letters[index] : undefined;
  if (letter !== undefined) return { kind: "option", letter, words: options[index] };
  const count = row.options?.length ?? 0;
  throw new DataError(
    "gold-index",
    `Row ${row.id} has answer_index ${index}, but ${count} options.`,
    {
      hint: count === 0 ? "Give the row its options." : `It counts from 0: give 0 to ${count - 1}.`,
    },
  );
}

function optionOf(row: RewardRow, whole: string): GoldAnswer & { kind: "option" } {
  const answer = parseBareAnswer(goldOf(row), row);
  if (answer.kind !== "unparsed") {
    return { kind: "option", letter: answer.letter, words: answer.words };
  }
  const { letters, options } = choiceOf(row);
  const shown = options.map((option, at) => `${letters[at] ?? "?"}. ${option}`).join(", ");
  const cut = shown.length > 200 ? `${shown.slice(0, 197)}...` : shown;
  const number = /^\d+$/.test(whole)
    ? " If it is the place of the option, give it as answer_index, counted from 0."
    : "";
  throw new DataError(
    "gold-not-an-option",
    `The answer of row ${row.id} is ${quoted(whole, MOST_SHOWN)}, which is none of its options ${letters[0]} to ${letters.at(-1)} (${cut})${answer.reason === "letter and words differ" || answer.reason === "several options are named" ? `: ${answer.reason}` : ""}.`,
    {
      hint: `Give the letter of the right option, its words, or both.${number}`,
    },
  );
}

/** Returns the letter of the right option; undefined for a row whose answer is no option. */
export function goldLetter(row: RewardRow): string | undefined {
  const gold = goldAnswer(row);
  return gold.kind === "option" ? gold.letter : undefined;
}

/**
 * Returns the texts that are the words of the right option: with the letter that the data puts
 * before it, and without. An answer that is no option is itself.
 */
export function goldWords(row: RewardRow): string[] {
  const letter = goldLetter(row);
  const { letters, options } = choiceOf(row);
  // An option may be one letter, which is another option's too: here its words are meant.
  const spelled = options.findIndex((option) => strip(option) === goldOf(row));
  const place = spelled >= 0 ? spelled : letters.indexOf(letter ?? "-");
  const option = row.options?.[place];
  return option === undefined ? [goldOf(row)] : [strip(option), strip(options[place]!)];
}

/**
 * Checks the right answers of rows before they are trained on or asked.
 *
 * @param needed refuses rows without an answer.
 * @throws {DataError} that of `goldAnswer`, `no-answer`, or `gold-answers` where several rows are wrong.
 */
export function checkGold(rows: Iterable<RewardRow>, needed: boolean): void {
  const errors: DataError[] = [];
  let count = 0;
  for (const row of rows) {
    count++;
    try {
      if (goldAnswer(row).kind !== "none" || !needed) continue;
      throw new DataError("no-answer", `Row ${row.id} has no answer.`, {
        hint: "Give it its right answer, or use rewards that need none (docs/rewards.md).",
      });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      errors.push(error);
    }
  }
  if (errors.length === 0) return;
  if (errors.length === 1) throw errors[0]!;
  const told = errors.slice(0, TOLD).map(({ message }) => message);
  const more = errors.length > TOLD ? ` And ${errors.length - TOLD} more.` : "";
  throw new DataError(
    "gold-answers",
    `${errors.length} of ${count} rows have no usable answer. ${told.join(" ")}${more}`,
    { hint: "Correct them, or leave them out." },
  );
}
