/** Letters of options in running text: which of them stand alone, and which of those are denied. */
import {
  AFTER_LETTER,
  BEFORE_LETTER,
  DENIES_AFTER,
  DENIES_BEFORE,
  EAST_ASIAN,
  NAMED_NOUN,
} from "./east-asian.ts";

/** Characters before and after a letter that are looked at. */
const WINDOW = 48;

/** A character of a word in a script that spaces words. */
const WORD = `(?![${EAST_ASIAN}])[\\p{L}\\p{N}_]`;

/** A capital that is in no word, number, contraction, compound or abbreviation. */
const STANDS = new RegExp(
  `(?<!${WORD}|[\\p{L}\\p{N}]['-]|\\u00b0|(?<!${WORD})\\p{L}\\.)` +
    `[A-Z](?!${WORD}|['-]\\p{L}|[+#%\\u00b0]|\\.\\p{Lu}(?!${WORD}))`,
  "gu",
);
/** A small letter that is called an option, or stands in brackets. */
const SMALL =
  /(?<=\b(?:option|choice|letter)\s{1,3}["'([]{0,3})[b-z](?![\p{L}\p{N}_'-])|(?<=\()[a-z](?=\))/giu;

const touches = {
  before: new RegExp(`[${EAST_ASIAN}]$`, "u"),
  after: new RegExp(`^[${EAST_ASIAN}]`, "u"),
  cueBefore: new RegExp(`${BEFORE_LETTER}$`, "u"),
  cueAfter: new RegExp(`^${AFTER_LETTER}`, "u"),
};

const NAMED = new RegExp(
  "(?:\\b(?:vitamin|plan|type|class|grade|hepatitis|group|person|speaker|player|team|character|" +
    "man|woman|part|section|figure|panel|point|note|key|chord|string|side|row|column|level|size|" +
    "phase|step|scene|room|building|track|line|zone|series|drive|block|category|mr|ms|mrs|dr)s?\\.?" +
    `|${NAMED_NOUN})\\s*$`,
  "iu",
);

const DENIED_BEFORE = new RegExp(
  "(?:(?:\\bnot|n't|\\bcannot|\\bnever|\\bneither|\\bnor|\\brather than|\\binstead of|\\bunlike|" +
    "\\bexcept(?: for)?|\\bexclud(?:e|es|ed|ing)|\\beliminat(?:e|es|ed|ing)|\\breject(?:s|ed|ing)?|" +
    "\\brul(?:e|es|ed|ing) out|\\bdiscard(?:s|ed|ing)?)" +
    "(?:\\s+(?:be|the|correct|right|answer|option|choice|letter|necessarily|choos(?:e|ing)|pick(?:ing)?|select(?:ing)?|say|go|with|either|is|it|its|it's))*" +
    `|${DENIES_BEFORE})\\s*["'(\\[]*$`,
  "iu",
);
const BE = "(?:is|was|are|does|do|did|can|could|has|will|would|should|must|seems?|looks?)";
const DENIED_AFTER = new RegExp(
  `^["')\\]]*(?:\\s+(?:${BE}(?:n't|\\s+not\\b|\\s+never\\b)|cannot\\b|can't\\b|won't\\b)` +
    `|\\s+(?:${BE}|appears?)(?:\\s+(?:be|been|to be|clearly|definitely|also|just|simply))*\\s+` +
    "(?:incorrect|wrong|false|ruled out|eliminated|impossible|unlikely|excluded)\\b" +
    "|\\s*(?:incorrect|wrong)\\b|\\s*\\?\\s*(?:no|not)\\b" +
    `|\\s*${DENIES_AFTER})`,
  "iu",
);

/** Words that follow an A which is an option and no article. */
const NO_ARTICLE =
  /^ (?:is|was|are|because|since|as|seems|fits|matches|and|or|not|would|must|cannot|does|looks|best|with|rather|instead|based)\b/i;
const CALLED = /\b(?:option|choice|letter|answer)\s*["'([]*$/i;

/** A letter of an option that stands alone. */
export interface Mention {
  /** The letter, a capital. */
  letter: string;
  /** The index at which it begins. */
  at: number;
  /** True where the text says that it is not the answer. */
  denied: boolean;
}

/** A stretch of a text: where it starts and ends. */
export type Span = readonly [start: number, end: number];

/**
 * Finds the option letters that stand alone in a canonical text, in its order: not in a word or a
 * number, no article, no name such as "vitamin C".
 *
 * @param options their words in small letters, which tell an A from an article.
 * @param taken stretches in order that belong to an option's words.
 */
export function mentionsIn(
  text: string,
  letters: string,
  options: readonly string[],
  taken: readonly Span[] = [],
): Mention[] {
  const found = [...text.matchAll(STANDS), ...text.matchAll(SMALL)];
  const mentions: Mention[] = [];
  let stretch = 0;
  for (const { 0: unit, index } of found.sort((a, b) => a.index - b.index)) {
    const letter = unit.toUpperCase();
    if (mentions.at(-1)?.at === index || !letters.includes(letter)) continue;
    while (stretch < taken.length && taken[stretch]![1] <= index) stretch++;
    if (stretch < taken.length && taken[stretch]![0] <= index) continue;
    const before = text.slice(Math.max(0, index - WINDOW), index);
    const after = text.slice(index + 1, index + 1 + WINDOW);
    if (!namesAnOption(letter, before, after, options)) continue;
    mentions.push({ letter, at: index, denied: isDenied(before, after) });
  }
  return mentions;
}

/** Tells whether the text around an option says that it is not the answer. */
export function isDenied(before: string, after: string): boolean {
  return DENIED_BEFORE.test(before.slice(-WINDOW)) || DENIED_AFTER.test(after.slice(0, WINDOW));
}

function namesAnOption(
  letter: string,
  before: string,
  after: string,
  options: readonly string[],
): boolean {
  if (NAMED.test(before)) return false;
  const cued = touches.cueBefore.test(before);
  if (touches.before.test(before) && !cued) return false;
  if (touches.after.test(after) && !touches.cueAfter.test(after) && !cued) return false;
  if (CALLED.test(before)) return true;
  if (letter === "A") return !isArticle(after, options);
  // The pronoun, where there are nine options.
  return letter !== "I" || !/^(?: \p{Ll}|')/u.test(after);
}

/** Tells an A before another word from the option, whose own words may follow it. */
function isArticle(after: string, options: readonly string[]): boolean {
  if (!/^ \p{Ll}/u.test(after) || NO_ARTICLE.test(after)) return false;
  const [first] = options;
  const said = options.filter(
    (option) => option !== "" && after.toLowerCase().startsWith(` ${option}`),
  );
  // "A red car" is no A where another option is "red car".
  if (first === undefined || !said.includes(first)) return true;
  return said.some((option) => option.length > first.length);
}
