import { OPTION_LETTERS, unlettered } from "../../text/option-letters.ts";
import type { RewardRow } from "../reward.ts";
import { goldOf } from "../gold-text.ts";
import { comparable } from "./canonical.ts";

/** Options of a choice that names none: A to D at least. */
const USUAL_OPTIONS = 4;

/** The letters and words with which a choice can be answered. */
export interface Choice {
  /** The letters of the options, such as `ABCD`. */
  readonly letters: string;
  /** The words of each option without its letter, as `comparable` makes them; none where unknown. */
  readonly words: readonly string[];
  /** The words as the row has them. */
  readonly options: readonly string[];
}

/**
 * Returns the letters of a row's options, such as `ABCD`: A to D where it names none, and up to its
 * answer where that is a later letter.
 */
export function lettersOf(row: RewardRow): string {
  const { options } = row;
  if (options !== undefined) return OPTION_LETTERS.slice(0, options.length);
  const gold = goldOf(row);
  const place = gold.length === 1 ? OPTION_LETTERS.indexOf(gold) : -1;
  return OPTION_LETTERS.slice(0, Math.max(USUAL_OPTIONS, place + 1));
}

/** Returns what the choice of a row can be answered with. */
export function choiceOf(row: RewardRow): Choice {
  const options = unlettered(row.options ?? []).slice(0, OPTION_LETTERS.length);
  return { letters: lettersOf(row), options, words: options.map(comparable) };
}

/** Returns the place of the option that a text spells out: -1 for none, -2 where several do. */
export function placeOfWords(text: string, { words }: Choice): number {
  const said = comparable(text);
  if (said === "") return -1;
  const place = words.indexOf(said);
  return place >= 0 && words.indexOf(said, place + 1) >= 0 ? -2 : place;
}
