import { type Choice, placeOfWords } from "./choice.ts";
import { comparable } from "./canonical.ts";
import { type PartAnswer, unread } from "./answer.ts";

/** Maximum length of a text that is taken for an answer and nothing else. */
const LONGEST = 2000;

/** Words before an answer that say nothing more: "the answer is", "option". */
const OPENING =
  /^(?:[\s"'([.,:;=-]|(?:the\s+)?(?:(?:correct|right|final|best|my)\s+)?(?:answer|option|choice|letter)(?:\s+(?:is|was))?(?![\p{L}\p{N}])|\u6b63[\u786e\u78ba](?=\u7b54)|\u7b54\u6848|\u6b63\u89e3|\u7b54\u3048|\u9078\u629e\u80a2|[\u9009\u9078][\u9879\u9805]|[\u9009\u9078][\u62e9\u64c7]?|\uc815\ub2f5|\ub2f5|[\u662f\u4e3a\u70ba\u306f\uc740\uc774])+/iu;
/** Text that may follow a letter and says nothing more. */
const CLOSING =
  /^(?:[\s"')\].,:;!-]|[\u9009\u9078]?[\u9879\u9805]|\u3067\u3059|\u3060|\ubc88|\uc785\ub2c8\ub2e4|\uc774\ub2e4|\uc608\uc694|\uc774\uc5d0\uc694)*$/u;
/** Text that may part a letter from its words. */
const JOIN = /^(?:[\s"')\].,:;=-]|[\u9009\u9078]?[\u9879\u9805])+/u;

/**
 * Reads a canonical text that is nothing but an answer: an option's words, a letter, or a letter
 * with its words. Undefined where it is more than that.
 */
export function readWhole(text: string, choice: Choice): PartAnswer | undefined {
  const at = text.length - text.trimStart().length;
  const end = text.trimEnd().length;
  if (end - at > LONGEST || end <= at) return undefined;
  const body = text.slice(at, end);
  const letter = readLetter(body, choice, at);
  if (letter !== undefined) return letter;
  return words(body, at, choice) ?? opened(body, at, choice);
}

/** Returns a letter by itself, or one that is none of the options. */
function readLetter(body: string, choice: Choice, start: number): PartAnswer | undefined {
  for (const skip of new Set([bracketsOf(body), OPENING.exec(body)?.[0].length ?? 0])) {
    const unit = body.charAt(skip);
    if (!/[A-Za-z]/.test(unit)) continue;
    const rest = body.slice(skip + 1);
    const letter = unit.toUpperCase();
    const known = choice.letters.includes(letter);
    const at = start + skip;
    if (CLOSING.test(rest)) {
      // An option may be one letter, which another place has.
      if (known) return { kind: "letter", letter, at, end: at + 1 };
      return words(body, start, choice) ?? unread("the letter is none of the options");
    }
    const join = JOIN.exec(rest)?.[0] ?? "";
    if (!known || join === "") continue;
    const own = choice.letters.indexOf(letter);
    const said = comparable(rest.slice(join.length));
    const end = start + body.length;
    if (choice.words[own] !== undefined && said === choice.words[own]) {
      // "A car" may be the words of another option.
      return words(body, start, choice) ?? { kind: "both", letter, at, end };
    }
    // "A blue" is an article and a word; "A. blue" is two answers.
    const other = placeOfWords(rest.slice(join.length), choice);
    if (other === -1 || (join.trim() === "" && unit === "a")) continue;
    if (join.trim() === "" && unit === "A") {
      return other === -2 ? unread("several options are named") : { kind: "words", letter: choice.letters[other]!, at: at + 2, end }; // prettier-ignore
    }
    return words(body, start, choice) ?? unread("letter and words differ");
  }
  return undefined;
}

function bracketsOf(body: string): number {
  return /^[\s"'([.,:;=-]*/.exec(body)![0].length;
}

function words(body: string, at: number, choice: Choice): PartAnswer | undefined {
  const place = placeOfWords(body, choice);
  if (place === -1) return undefined;
  if (place === -2) return unread("several options are named");
  return { kind: "words", letter: choice.letters[place]!, at, end: at + body.length };
}

/** Words after "the answer is" and the like. */
function opened(body: string, at: number, choice: Choice): PartAnswer | undefined {
  const skip = OPENING.exec(body)?.[0].length ?? 0;
  return skip === 0 ? undefined : words(body.slice(skip), at + skip, choice);
}
