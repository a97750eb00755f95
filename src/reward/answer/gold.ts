/** What the right answer of a choice is, in the forms that data sets write it. */
import { OPTION_LETTERS, unlettered } from "../../text/option-letters.ts";
import { lettersOf } from "../rewards/format.ts";
import { strip } from "../text/python.ts";
import type { RewardRow } from "../reward.ts";
import { goldOf } from "../text/tags.ts";

/**
 * The letter of the right option: the row's answer where it is a letter of one, else that of the
 * option which the answer spells out, else a letter written as `b`, `B.` or `(B)`. Undefined for a
 * row whose answer is no option.
 */
export function goldLetter(row: RewardRow): string | undefined {
  const [letters, gold] = [lettersOf(row), goldOf(row)];
  if (gold.length === 1 && letters.includes(gold)) return gold;
  const spelled = letters[placeOf(gold, row)];
  if (spelled !== undefined) return spelled;
  const bare = /^\(?([A-Za-z])[.):]?$/.exec(gold)?.[1]?.toUpperCase();
  return bare !== undefined && letters.includes(bare) ? bare : undefined;
}

/**
 * The texts that are the words of the right option: with the letter that the data puts before it,
 * and without. An answer that is no option is itself.
 */
export function goldWords(row: RewardRow): string[] {
  const { options = [] } = row;
  const gold = goldOf(row);
  const spelled = placeOf(gold, row);
  const place = spelled >= 0 ? spelled : OPTION_LETTERS.indexOf(goldLetter(row) ?? "-");
  const option = options[place];
  return option === undefined ? [gold] : [strip(option), strip(unlettered(options)[place]!)];
}

/** Where the option stands that a text spells out, or -1. */
function placeOf(text: string, { options = [] }: RewardRow): number {
  const place = options.findIndex((option) => strip(option) === text);
  if (place >= 0) return place;
  return unlettered(options).findIndex((option) => strip(option) === text);
}
