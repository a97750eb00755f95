/**
 * One spelling for the many forms of a letter and its punctuation: full-width and circled letters,
 * East Asian punctuation, typographic quotes, and the marks of Markdown, LaTeX and HTML.
 *
 * Every function keeps the length of the text, so that a place in the result is that place in what
 * a model wrote.
 */

const PUNCTUATION: ReadonlyMap<string, string> = new Map([
  // Ideographic full stop, comma and space, middle dots. Such a full stop ends a sentence, without a
  // space after it, and is in no number.
  ...pairs("\u3002\uff61", "!"),
  ...pairs("\u3001\uff64", ","),
  ...pairs("\u30fb\uff65\u00b7\u2022", " "),
  ...pairs("\u3000\u00a0\u2007\u202f", " "),
  // Quotes and brackets.
  ...pairs("\u300c\u300d\u300e\u300f\u300a\u300b\u3008\u3009\uff62\uff63", '"'),
  ...pairs("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a", '"'),
  ...pairs("\u2018\u2019\u201a\u201b\u02bc", "'"),
  ...pairs("\u3010\u3014\u3016\u3018", "["),
  ...pairs("\u3011\u3015\u3017\u3019", "]"),
  // Hyphens join words; dashes part clauses.
  ...pairs("\u2010\u2011\u2012\u2212", "-"),
  ...pairs("\u2013\u2014\u2015", ","),
  ["\u2026", "."],
  // Characters without width, and what makes a letter an emoji.
  ...pairs("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f\u20dd\u20de", " "),
]);

/** Alphabets of whole letters: where each begins, and how many UTF-16 units a letter takes. */
const ALPHABETS: readonly (readonly [first: number, letter: string])[] = [
  [0x24b6, "A"], // circled
  [0x24d0, "a"], // circled, small
  [0x249c, "a"], // in brackets, small
  [0x1f110, "A"], // in brackets
  [0x1f130, "A"], // squared
  [0x1f150, "A"], // white on a black circle
  [0x1f170, "A"], // white on a black square
];

function* pairs(from: string, to: string): Generator<[string, string]> {
  for (const unit of from) yield [unit, to];
}

const SPECIAL =
  /[\uff01-\uff5e\u00a0\u00ab\u00b7\u00bb\u02bc\u2007\u200b-\u200f\u2010-\u201f\u2022\u2026\u202f\u2039\u203a\u2060\u2212\u249c-\u24e9\u3000-\u3002\u3008-\u3011\u3014-\u3019\u30fb\ufeff\uff61-\uff65]|\u20dd|\u20de|\ufe0e|\ufe0f|[\u{1f110}-\u{1f129}\u{1f130}-\u{1f149}\u{1f150}-\u{1f169}\u{1f170}-\u{1f189}]/gu;

/** Rewrites letters and punctuation in ASCII where they have an ASCII form; keeps the length. */
export function canonical(text: string): string {
  return text.replaceAll(SPECIAL, (found) => {
    const code = found.codePointAt(0)!;
    if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
    for (const [first, letter] of ALPHABETS) {
      if (code < first || code >= first + 26) continue;
      const plain = String.fromCharCode(letter.charCodeAt(0) + code - first);
      // A letter beyond the basic plane takes two units.
      return plain.padEnd(found.length);
    }
    return PUNCTUATION.get(found) ?? found;
  });
}

const LATEX_FONT =
  /\\(?:text|mathrm|mathbf|mathit|mathsf|textbf|textit|textrm|boldsymbol|bf|rm)\b\s{0,3}\{?/g;
const TAG = /<\/?[a-z!][^<>]{0,20}>/gi;

/** Blanks the marks of Markdown, LaTeX and HTML around words; keeps the length. */
export function unmarked(text: string): string {
  const blank = (found: string): string => " ".repeat(found.length);
  return text
    .replaceAll(TAG, blank)
    .replaceAll(LATEX_FONT, blank)
    .replaceAll(/[*`~|{}]|^[ \t]{0,9}[#>]{1,6}(?= )/gm, blank)
    .replaceAll(/(?<![\p{L}\p{N}])_{1,3}(?=\S)|(?<=\S)_{1,3}(?![\p{L}\p{N}])/gu, blank)
    .replaceAll(/\\(?=[()[\]$,;!% ])|\$/g, blank);
}

/** Returns a text as options are compared: one spelling, small letters, single spaces, no marks around it. */
export function comparable(text: string): string {
  const plain = unmarked(canonical(text.normalize("NFC")))
    .toLowerCase()
    .replaceAll(/\s+/g, " ")
    .trim();
  // A minus, a point and the like before a number belong to it.
  const bare = plain.replace(/^[\s"'([:,;!?]+/, "").replace(/[\s"')\].:,;!?]+$/, "");
  return bare === "" ? plain : bare;
}
