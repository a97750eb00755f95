/**
 * Which option a completion chooses, however it says so. Accuracy is measured with it, so that a
 * run cannot look better at the task for having learnt the format.
 */
import { unlettered } from "../../text/option-letters.ts";
import { lettersOf } from "../rewards/format.ts";
import { goldLetter } from "./gold.ts";
import { endsWithAnswer } from "./open-answer.ts";
import { defineReward, type RewardRow } from "../reward.ts";
import { goldOf } from "../text/tags.ts";

/** The problem type of choices that may have several right options, one of them all the same. */
const SEVERAL = "emer_ov_mc";

/**
 * Finds the letter of the option that a completion names last, or undefined.
 *
 * What follows the last `</think>` counts, or the whole text if nothing does; in it the last
 * `<answer>` block, or all of it if the block names no option. A letter that stands alone goes
 * before an option's words. One option is chosen at most, so naming several does not pay. Takes
 * time linear in the text.
 */
export function lenientAnswer(text: string, row: RewardRow): string | undefined {
  if (lettersOf(row) === "") return undefined;
  const { region, block } = partsOf(text);
  return chosen(block, row) ?? chosen(region, row);
}

/** What follows the thought, and the last answer block in it: empty without one. */
function partsOf(text: string): { region: string; block: string } {
  const said = text.slice(lastEnd(text, /<\/think>/gi) ?? 0);
  const region = said.trim() === "" ? text : said;
  const start = lastEnd(region, /<answer>/gi);
  const block = start === undefined ? "" : region.slice(start).split(/<\/answer>/i, 1)[0]!;
  return { region, block };
}

/** A text without tags. */
function untagged(text: string): string {
  return text.replaceAll(/<[^<>]{0,20}>/g, "");
}

/** Where the last match ends. */
function lastEnd(text: string, pattern: RegExp): number | undefined {
  let end: number | undefined;
  for (const match of text.matchAll(pattern)) end = match.index + match[0].length;
  return end;
}

function chosen(region: string, row: RewardRow): string | undefined {
  const letters = lettersOf(row);
  const bare = /^[\s("'*[]*([a-z])[\s)"'*\].:]*$/i.exec(untagged(region));
  const letter = bare?.[1]?.toUpperCase();
  if (letter !== undefined && letters.includes(letter)) return letter;
  const options = unlettered(row.options ?? []);
  return lastLetter(region, letters, options) ?? lastOption(region, letters, options);
}

/** The last capital that stands alone: not in a word, a number, a contraction or a compound. */
function lastLetter(
  region: string,
  letters: string,
  options: readonly string[],
): string | undefined {
  const alone = new RegExp(
    `(?<![\\p{L}\\p{N}_'\u2019-])[A-${letters.at(-1)}](?![\\p{L}\\p{N}_]|['\u2019-]\\p{L})`,
    "gu",
  );
  let last: string | undefined;
  for (const { 0: letter, index } of region.matchAll(alone)) {
    if (letter === "A" && isArticle(region, index, options)) continue;
    last = letter;
  }
  return last;
}

/** Whether an A is the word before another word, unless those words are what option A says. */
function isArticle(region: string, index: number, options: readonly string[]): boolean {
  const longest = options.reduce((most, option) => Math.max(most, option.length), 0);
  const after = region.slice(index + 1, index + 2 + longest).toLowerCase();
  if (!/^ \p{Ll}/u.test(region.slice(index + 1, index + 4))) return false;
  const said = options.filter((option) => after.startsWith(` ${option.toLowerCase()}`));
  // "A red car" is no A where another option is "red car".
  return options[0] === undefined || !said.includes(options[0]) || said.some((option) => option.length > options[0]!.length); // prettier-ignore
}

/** The letter of the option whose words end last in the text; of two such, the longer one. */
function lastOption(
  region: string,
  letters: string,
  options: readonly string[],
): string | undefined {
  const lower = region.toLowerCase();
  let best = { end: -1, length: 0, letter: undefined as string | undefined };
  options.forEach((option, place) => {
    const words = option.trim().toLowerCase();
    const end = words === "" ? -1 : lastWhole(lower, words);
    if (end > best.end || (end === best.end && words.length > best.length)) {
      best = { end, length: words.length, letter: end < 0 ? undefined : letters[place] };
    }
  });
  return best.letter;
}

/** Where the last whole-word occurrence ends, or -1. */
function lastWhole(text: string, words: string): number {
  const inWord = (at: number): boolean => /[\p{L}\p{N}_]/u.test(text.charAt(at));
  for (let at = text.lastIndexOf(words); at >= 0; at = text.lastIndexOf(words, at - 1)) {
    const end = at + words.length;
    if ((at === 0 || !inWord(at - 1)) && !inWord(end)) return end;
    if (at === 0) break;
  }
  return -1;
}

/**
 * 1 when the answer that a completion gives last is the right one, in whatever form; 0 if not.
 *
 * Of a choice it is the option named last (`lenientAnswer`). An answer that is no option is right
 * where what follows the thought, or the last `<answer>` block in it, ends with it.
 */
export const accuracyReward = defineReward("accuracy", ({ text }, row) => {
  const several = row.problem_type === SEVERAL;
  const letter = several ? undefined : goldLetter(row);
  if (letter !== undefined) return lenientAnswer(text, row) === letter ? 1 : 0;
  const { region, block } = partsOf(text);
  const said = block.trim() === "" ? untagged(region) : block;
  return endsWithAnswer(said, goldOf(row), several || undefined) ? 1 : 0;
});
