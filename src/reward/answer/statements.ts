/** Words that state an answer: "the answer is", "I choose", "B is correct", "so". */
import { CONCLUDES, STATES_AFTER, STATES_BEFORE, STATES_JOIN } from "./east-asian.ts";

const BEFORE = new RegExp(
  "(?:" +
    // The answer is; the correct option is; Answer: ...
    "\\b(?:answer(?!s?\\s+(?:options|choices|candidates))|(?:correct|right|best|final|my)\\s+(?:option|choice|one|selection|letter))\\b" +
    "(?:[^.!?\\n:=]{0,40}?(?:\\b(?:is|be|was|as)\\b|[:=])|(?=\\s{1,3}[\"'(\\[]*[A-Z](?![\\p{L}\\p{N}])))" +
    // I choose; I would go with.
    "|\\b(?:choos(?:e|es|ing)|chose|pick(?:s|ed|ing)?|select(?:s|ed|ing)?|go(?:es|ing)? (?:with|for)|opt(?:s|ed|ing)? for|settl(?:e|es|ed|ing) (?:on|for)|conclud(?:e|es|ed|ing)(?: that)?)\\b" +
    `|${STATES_BEFORE}${STATES_JOIN}` +
    ")",
  "giu",
);
const WEAK = new RegExp(
  `(?:\\b(?:so|therefore|thus|hence|consequently|in conclusion|finally|ultimately|overall)\\b|${CONCLUDES})[\\s,:]*`,
  "giu",
);
const AFTER = new RegExp(
  "^[\"')\\]]*(?:\\s+(?:is|was|must be|would be|has to be|seems|looks|appears)(?:\\s+(?:to be|clearly|definitely|therefore|thus))*" +
    "\\s+(?:the\\s+|my\\s+)?(?:most\\s+)?(?:correct|right|best|true|accurate|appropriate|likely|answer|final)\\b" +
    `|\\s*${STATES_AFTER})`,
  "iu",
);
/** A verb of choosing that is denied: "I would not choose". */
const DENIED = /(?:\bnot|n't|\bnever|\bcannot)(?:\s+\w+)?\s*$/iu;

/** The place where an answer is stated, and how firmly. */
export interface Statement {
  /** The index at which the words end; the answer follows. */
  end: number;
  /** False for words that close an argument, whose sentence need not hold an answer. */
  firm: boolean;
  /** True where what follows is denied by words in between. */
  denied: boolean;
}

/** Finds the words that state an answer which follows them, in their order. */
export function statementsIn(text: string): Statement[] {
  const found: Statement[] = [];
  for (const { 0: words, index } of text.matchAll(BEFORE)) {
    const before = text.slice(Math.max(0, index - 24), index);
    const denied = DENIED.test(before) || /\bnot\b|n't|\bnever\b|\bcannot\b/i.test(words);
    found.push({ end: index + words.length, firm: true, denied });
  }
  for (const { 0: words, index } of text.matchAll(WEAK)) {
    found.push({ end: index + words.length, firm: false, denied: false });
  }
  return found.sort((a, b) => a.end - b.end);
}

/** Tells whether the text after an option says that it is the answer. */
export function isStated(after: string): boolean {
  return AFTER.test(after.slice(0, 64));
}
