/** Answers that are no option of a choice, however a completion says them. */
import { readWide } from "../rewards/numeric.ts";

/** A number as texts write it, perhaps with a sign, groups, a fraction or a percent sign. */
const NUMBER = /[+-]?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?:\/\d+)?%?/gi;

/** Characters of a completion's end that are looked at; answers are shorter. */
const LONGEST = 10_000;

/** Letters that stand alone. */
const LETTERS = /(?<![\p{L}\p{N}])[a-z](?![\p{L}\p{N}])/gu;

/**
 * Tells whether `said` ends with the right answer: with its number, or its words in order. Items
 * that commas part may stand in any order, and must be all that the last line has; of single
 * letters, all the letters. Case and punctuation do not count. With `list`, one item is a list too.
 */
export function endsWithAnswer(said: string, gold: string, list = gold.includes(",")): boolean {
  const end = said.slice(-(LONGEST + gold.length)).toLowerCase();
  const right = readWide(gold);
  if (right !== undefined) {
    return lastNumber(end) === right;
  }
  const [words, wanted] = [wordsOf(end), wordsOf(gold.toLowerCase())];
  if (wanted.length === 0) return false;
  const items = gold.split(",").map((item) => wordsOf(item.toLowerCase()).join(" "));
  if (!list) return words.slice(-wanted.length).join(" ") === wanted.join(" ");
  const line = end.trimEnd().split(/[\n:]/).at(-1)!;
  const letters = items.every((item) => item.length === 1);
  const found = letters
    ? (line.match(LETTERS) ?? [])
    : line.split(",").map((item) => wordsOf(item).join(" "));
  return sameItems(found, items);
}

/** Returns the last number that a text names; undefined where it names none. */
export function lastNumber(text: string): number | undefined {
  const number = text
    .slice(-LONGEST)
    .toLowerCase()
    .match(NUMBER)
    ?.at(-1)
    ?.replace(/[.,]+$/, "");
  return number === undefined ? undefined : readWide(number);
}

function sameItems(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].sort().join() === [...new Set(b)].sort().join();
}

/** Runs of letters and digits. */
function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}]+/gu) ?? [];
}
