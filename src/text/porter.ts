/**
 * The Porter stemmer (Porter 1980, "An algorithm for suffix stripping") with the extensions of NLTK,
 * which rouge_score applies to words of more than three letters.
 */

/** Words whose stems are listed. */
const LISTED: ReadonlyMap<string, string> = new Map([
  ...["sky", "skies"].map((word) => [word, "sky"] as const),
  ["dying", "die"],
  ["lying", "lie"],
  ["tying", "tie"],
  ["news", "news"],
  ...["innings", "inning"].map((word) => [word, "inning"] as const),
  ...["outings", "outing"].map((word) => [word, "outing"] as const),
  ...["cannings", "canning"].map((word) => [word, "canning"] as const),
  ["howe", "howe"],
  ["proceed", "proceed"],
  ["exceed", "exceed"],
  ["succeed", "succeed"],
]);

/** Ending, what takes its place, and what the rest must fulfil for that. */
type Rule = [ending: string, replacement: string, condition?: (stem: string) => boolean];

function isConsonant(word: string, at: number): boolean {
  const letter = word.charAt(at);
  if ("aeiou".includes(letter)) return false;
  if (letter !== "y") return true;
  // A run of y alternates, from a consonant if it begins the word.
  let start = at;
  while (start > 0 && word.charAt(start - 1) === "y") start--;
  const first = start === 0 || !isConsonant(word, start - 1);
  return (at - start) % 2 === 0 ? first : !first;
}

/** Says how often a vowel is followed by a consonant. */
function measure(stem: string): number {
  let count = 0;
  for (let at = 1; at < stem.length; at++) {
    if (isConsonant(stem, at) && !isConsonant(stem, at - 1)) count++;
  }
  return count;
}

const some = (stem: string): boolean => measure(stem) > 0;
const several = (stem: string): boolean => measure(stem) > 1;

function hasVowel(stem: string): boolean {
  for (let at = 0; at < stem.length; at++) if (!isConsonant(stem, at)) return true;
  return false;
}

function endsShort(word: string): boolean {
  const last = word.length - 1;
  if (word.length === 2) return !isConsonant(word, 0) && isConsonant(word, 1);
  if (last < 2 || "wxy".includes(word.charAt(last))) return false;
  return isConsonant(word, last - 2) && !isConsonant(word, last - 1) && isConsonant(word, last);
}

/** Applies the first rule whose ending fits; if its condition fails, nothing changes. */
function apply(word: string, rules: readonly Rule[]): string {
  for (const [ending, replacement, condition] of rules) {
    if (!word.endsWith(ending)) continue;
    const stem = word.slice(0, word.length - ending.length);
    return condition === undefined || condition(stem) ? stem + replacement : word;
  }
  return word;
}

function pastOrProgressive(word: string): string {
  if (word.endsWith("ied")) return word.slice(0, -3) + (word.length === 4 ? "ie" : "i");
  if (word.endsWith("eed")) return apply(word, [["eed", "ee", some]]);
  const ending = ["ed", "ing"].find(
    (end) => word.endsWith(end) && hasVowel(word.slice(0, -end.length)),
  );
  if (ending === undefined) return word;
  const stem = word.slice(0, -ending.length);
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  const last = stem.charAt(stem.length - 1);
  if (stem.length > 1 && stem.at(-2) === last && isConsonant(stem, stem.length - 1)) {
    return "lsz".includes(last) ? stem : stem.slice(0, -1);
  }
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

const DOUBLE_SUFFIXES: readonly Rule[] = (
  [
    ["ational", "ate"],
    ["tional", "tion"],
    ["enci", "ence"],
    ["anci", "ance"],
    ["izer", "ize"],
    ["bli", "ble"],
    ["alli", "al"],
    ["entli", "ent"],
    ["eli", "e"],
    ["ousli", "ous"],
    ["ization", "ize"],
    ["ation", "ate"],
    ["ator", "ate"],
    ["alism", "al"],
    ["iveness", "ive"],
    ["fulness", "ful"],
    ["ousness", "ous"],
    ["aliti", "al"],
    ["iviti", "ive"],
    ["biliti", "ble"],
    ["fulli", "ful"],
  ] as const
).map(([ending, replacement]) => [ending, replacement, some]);

const THIRD: readonly Rule[] = (
  [
    ["icate", "ic"],
    ["ative", ""],
    ["alize", "al"],
    ["iciti", "ic"],
    ["ical", "ic"],
    ["ful", ""],
    ["ness", ""],
  ] as const
).map(([ending, replacement]) => [ending, replacement, some]);

const FOURTH: readonly Rule[] = [
  ..."al ance ence er ic able ible ant ement ment ent".split(" "),
  "ion",
  ..."ou ism ate iti ous ive ize".split(" "),
].map((ending) => [
  ending,
  "",
  ending === "ion" ? (stem) => several(stem) && /[st]$/.test(stem) : several,
]);

function second(word: string): string {
  if (word.endsWith("alli") && some(word.slice(0, -4))) return second(word.slice(0, -2));
  if (word.endsWith("logi")) return some(word.slice(0, -3)) ? word.slice(0, -1) : word;
  return apply(word, DOUBLE_SUFFIXES);
}

/** Returns the stem of a word in lower case. */
export function porterStem(word: string): string {
  const listed = LISTED.get(word);
  if (listed !== undefined) return listed;
  if (word.length <= 2) return word;
  let stem = word;
  if (stem.length === 4 && stem.endsWith("ies")) stem = stem.slice(0, -1);
  else stem = apply(stem, [["sses", "ss"], ["ies", "i"], ["ss", "ss"], ["s", ""]]); // prettier-ignore
  stem = pastOrProgressive(stem);
  stem = apply(stem, [["y", "i", (rest) => rest.length > 1 && isConsonant(rest, rest.length - 1)]]);
  stem = apply(apply(second(stem), THIRD), FOURTH);
  if (stem.endsWith("e")) {
    const rest = stem.slice(0, -1);
    const count = measure(rest);
    if (count > 1 || (count === 1 && !endsShort(rest))) stem = rest;
  }
  return apply(stem, [["ll", "l", (rest) => measure(`${rest}l`) > 1]]);
}
