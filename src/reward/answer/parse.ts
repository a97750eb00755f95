/**
 * Reads which option a text chooses, however it says so: the one reader of answers, for a row's own
 * answer and for completions. It says what it read and where, or why it could not.
 */
import type { RewardRow } from "../reward.ts";
import { type ParsedAnswer, type PartAnswer, unread } from "./answer.ts";
import { canonical, unmarked } from "./canonical.ts";
import { type Choice, choiceOf } from "./choice.ts";
import { regionOf } from "./region.ts";
import { readWhole } from "./whole.ts";
import { readRunning } from "./running.ts";

/**
 * Reads which option of its row a completion chooses.
 *
 * What follows the last `</think>` counts, or the whole text where nothing does; in it the last
 * `<answer>` block or `\boxed{}` that is not empty. Read are letters in every usual spelling (`B`,
 * `(b)`, `**B**`, full-width and circled ones), the words of an option, both together, and sentences
 * in English, Chinese, Japanese and Korean; an option that is denied does not count. Several options
 * without a word that says which are none. Takes time linear in the text.
 *
 * @example
 * parseAnswer("I think it is B, not C.", { id: "r", answer: "B", options: ["red", "blue", "green"] });
 * // { kind: "letter", letter: "B", words: "blue", span: [14, 15] }
 */
export function parseAnswer(text: string, row: RewardRow): ParsedAnswer {
  const choice = choiceOf(row);
  const { start, end } = regionOf(text);
  const said = unmarked(canonical(text.slice(start, end)));
  return located(readPart(said, choice), choice, start);
}

/**
 * Reads a text that is nothing but an answer, such as a row's own: a letter, an option's words, or
 * both, in every usual spelling.
 */
export function parseBareAnswer(text: string, row: RewardRow): ParsedAnswer {
  const choice = choiceOf(row);
  const { start, end } = regionOf(text);
  const body = text.slice(start, end).trim();
  const exact = choice.options.indexOf(body);
  const plain = unmarked(canonical(text.slice(start, end)));
  const found = readWhole(plain, choice);
  // Options that differ in case or marks alone are told apart by them.
  if (found?.kind === "unparsed" && exact >= 0 && exact === choice.options.lastIndexOf(body)) {
    return located({ kind: "words", letter: choice.letters[exact]!, at: 0, end: end - start }, choice, start); // prettier-ignore
  }
  return located(found ?? unread(plain.trim() === "" ? "nothing is said" : "no option is named"), choice, start); // prettier-ignore
}

function readPart(said: string, choice: Choice): PartAnswer {
  if (!/[\p{L}\p{N}\p{S}]/u.test(said)) return unread("nothing is said");
  return readWhole(said, choice) ?? readRunning(said, choice);
}

function located(found: PartAnswer, choice: Choice, start: number): ParsedAnswer {
  if (found.kind === "unparsed") return found;
  const { kind, letter, at, end } = found;
  const words = choice.options[choice.letters.indexOf(letter)];
  return { kind, letter, words, span: [start + at, start + end] };
}
