import { quoted } from "./quoted.ts";
/**
 * Completions that say nothing: loops such as "systemsystemsystem", and text of broken characters
 * or many scripts at once. Pure rules, for the trainer that masks and for who watches a run.
 */

/** The fault of a degenerate completion, and the passage that shows it. */
export interface Degeneration {
  kind: "repetition" | "garbage";
  /** The measurement, as a phrase with its number. */
  reason: string;
}

/** Fewer symbols than this prove nothing: short answers repeat by chance. */
const LEAST_IDS = 8;
const LEAST_CHARACTERS = 24;
/** A sequence this long is dominated by one symbol at half of it; a shorter one at 3/4. */
const LONG_IDS = 16;
const LONGEST_PERIOD = 64;
/** A loop is a block said at least so often in a row. */
const LEAST_TURNS = 4;
/** A loop counts when it is at least this part of the whole. */
const LOOP_SHARE = 0.5;
/** So few tokens say nothing where they make this part of a sequence of at least so many. */
const FEW_IDS = 4;
const FEW_SHARE = 0.85;
const LEAST_FOR_FEW = 32;
/** Lengths of the pieces that are counted in a text, and how often the commonest one is at least. */
const PIECES = [4, 6, 9, 12];
const LEAST_PIECES = 6;
const PIECE_SHARE = 0.5;
/** Fraction of 4-grams that occurred before: prose of 1000 tokens stays below 0.3. */
const REPEATED_GRAMS = 0.6;
const LEAST_GRAMS = 24;
/** Symbols per Lempel-Ziv phrase: prose of 4000 characters stays below 8. */
const PHRASE_LENGTH = 12;
const LEAST_COMPRESSED = 96;
/** Text beyond this many symbols is judged by its end: a loop, once begun, goes on. */
const MOST_SYMBOLS = 4096;
/** Replacement, control and private characters above this share are no text. */
const BROKEN_SHARE = 0.05;
/** More writing systems than this in one completion, of two letters or more each. */
const MOST_SCRIPTS = 3;

const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] = [
  ["Latin", /\p{Script=Latin}/gu],
  // Chinese, Japanese and Korean mix in ordinary text, so they are one.
  ["Han", /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu],
  ["Cyrillic", /\p{Script=Cyrillic}/gu],
  ["Greek", /\p{Script=Greek}/gu],
  ["Arabic", /\p{Script=Arabic}/gu],
  ["Hebrew", /\p{Script=Hebrew}/gu],
  ["Thai", /\p{Script=Thai}/gu],
  ["Devanagari", /\p{Script=Devanagari}/gu],
  ["other", /[\p{Script=Armenian}\p{Script=Georgian}\p{Script=Bengali}\p{Script=Tamil}]/gu],
];
const BROKEN = /[\ufffd\p{Cc}\p{Co}\p{Cn}]/gu;
const PLAIN_CONTROL = /[\t\n\r]/g;

/** Returns the longest stretch in which a block of any period up to 64 follows upon itself. */
export function longestLoop(symbols: ArrayLike<number>): {
  period: number;
  turns: number;
  length: number;
} {
  let best = { period: 0, turns: 0, length: 0 };
  for (let period = 1; period <= Math.min(LONGEST_PERIOD, symbols.length / LEAST_TURNS); period++) {
    let run = 0;
    for (let at = period; at < symbols.length; at++) {
      run = symbols[at] === symbols[at - period] ? run + 1 : 0;
      const length = run + period;
      const turns = Math.floor(length / period);
      if (run > 0 && turns >= LEAST_TURNS && length > best.length) best = { period, turns, length };
    }
  }
  return best;
}

/**
 * Returns the fraction of a sequence's n-grams that occurred earlier in it; 0 for fewer than two.
 */
export function repeatedGrams(symbols: ArrayLike<number>, size: number): number {
  const count = symbols.length - size + 1;
  if (count < 2) return 0;
  const seen = new Set<string>();
  for (let at = 0; at < count; at++) {
    seen.add(Array.from({ length: size }, (_, i) => symbols[at + i]).join(","));
  }
  return 1 - seen.size / count;
}

/**
 * Symbols per phrase when every phrase is the longest that began before, and one symbol more: high
 * where a text repeats itself in any way. Source: Lempel and Ziv 1976.
 */
export function phraseLength(symbols: ArrayLike<number>): number {
  const places = new Map<string, number[]>();
  const key = (at: number): string => `${symbols[at]},${symbols[at + 1]},${symbols[at + 2]}`;
  let phrases = 0;
  let at = 0;
  while (at < symbols.length) {
    let longest = 0;
    for (const from of (places.get(key(at)) ?? []).slice(-32)) {
      let length = 0;
      while (at + length < symbols.length && symbols[from + length] === symbols[at + length]) {
        length++;
      }
      longest = Math.max(longest, length);
    }
    const end = Math.min(symbols.length, at + longest + 1);
    for (; at < end; at++) {
      const known = places.get(key(at));
      if (known) known.push(at);
      else places.set(key(at), [at]);
    }
    phrases++;
  }
  return phrases === 0 ? 0 : symbols.length / phrases;
}

/** Share of a sequence that its `few` commonest symbols make. */
function commonest(symbols: ArrayLike<number>, few: number): number {
  const counts = new Map<number, number>();
  for (const symbol of Array.from(symbols)) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  const most = [...counts.values()].sort((a, b) => b - a).slice(0, few);
  return most.reduce((sum, count) => sum + count, 0) / symbols.length;
}

/**
 * Returns the piece of 4, 6, 9 or 12 characters that makes most of a text, and its share: the word
 * of a loop whose turns differ in case, in white space, or by what stands between them.
 */
export function commonestPiece(text: string): { piece: string; times: number; share: number } {
  const plain = text.toLowerCase().replace(/\s+/g, "");
  let best = { piece: "", times: 0, share: 0 };
  for (const size of PIECES) {
    const counts = new Map<string, { times: number; end: number }>();
    for (let at = 0; at + size <= plain.length; at++) {
      const piece = plain.slice(at, at + size);
      const known = counts.get(piece);
      // Turns that overlap would count a piece such as "nono" more often than it fits.
      if (known === undefined) counts.set(piece, { times: 1, end: at + size });
      else if (known.end <= at) Object.assign(known, { times: known.times + 1, end: at + size });
    }
    for (const [piece, { times }] of counts) {
      const share = (times * size) / plain.length;
      if (times >= LEAST_PIECES && share > best.share) best = { piece, times, share };
    }
  }
  return best;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function repetitionIn(symbols: ArrayLike<number>, noun: string): string | undefined {
  const loop = longestLoop(symbols);
  if (loop.length >= LOOP_SHARE * symbols.length) {
    const block = loop.period === 1 ? `the same ${noun}` : `a block of ${loop.period} ${noun}s`;
    return `${block} ${loop.turns} times in a row`;
  }
  const grams = repeatedGrams(symbols, 4);
  if (symbols.length >= LEAST_GRAMS && grams >= REPEATED_GRAMS) {
    return `${percent(grams)} of its 4-grams of ${noun}s were said before`;
  }
  const length = symbols.length >= LEAST_COMPRESSED ? phraseLength(symbols) : 0;
  return length >= PHRASE_LENGTH ? `${length.toFixed(0)} ${noun}s to a new phrase` : undefined;
}

function repetitionOf(text: string, ids: readonly number[]): string | undefined {
  const recent = ids.slice(-MOST_SYMBOLS);
  if (recent.length >= LEAST_IDS) {
    const share = commonest(recent, 1);
    if (share >= (recent.length >= LONG_IDS ? 0.5 : 0.75)) {
      return `one token makes ${percent(share)} of it`;
    }
    const few = commonest(recent, FEW_IDS);
    if (recent.length >= LEAST_FOR_FEW && few >= FEW_SHARE) {
      return `${FEW_IDS} tokens make ${percent(few)} of it`;
    }
    const found = repetitionIn(recent, "token");
    if (found !== undefined) return found;
  }
  const codes = Array.from(text.slice(-MOST_SYMBOLS), (letter) => letter.codePointAt(0)!);
  if (codes.length < LEAST_CHARACTERS) return undefined;
  const loop = longestLoop(codes);
  if (loop.length >= LOOP_SHARE * codes.length) {
    const piece = loop.period === 1 ? "one character" : `a piece of ${loop.period} characters`;
    return `${piece} ${loop.turns} times in a row`;
  }
  const length = codes.length >= LEAST_COMPRESSED ? phraseLength(codes) : 0;
  if (length >= PHRASE_LENGTH) return `${length.toFixed(0)} characters to a new phrase`;
  const { piece, times, share } = commonestPiece(text.slice(-MOST_SYMBOLS));
  if (share < PIECE_SHARE) return undefined;
  return `${quoted(piece)} ${times} times makes ${percent(share)} of it`;
}

function garbageOf(text: string): string | undefined {
  const letters = Array.from(text).length;
  if (letters === 0) return undefined;
  const broken = (text.replace(PLAIN_CONTROL, "").match(BROKEN) ?? []).length;
  // One character cut at the length limit decodes to a replacement; it is no garbage.
  if (broken > 1 && broken > BROKEN_SHARE * letters) {
    return `${broken} of ${letters} characters are broken`;
  }
  const scripts = SCRIPTS.filter(([, pattern]) => (text.match(pattern) ?? []).length >= 2);
  if (scripts.length <= MOST_SCRIPTS) return undefined;
  return `${scripts.length} scripts at once (${scripts.map(([name]) => name).join(", ")})`;
}

/**
 * Returns the fault of a degenerate completion, or undefined.
 *
 * Repetition is asked first, of the token ids and then of the text: one token that makes half of
 * it or four that make 85 %, a block said four times in a row over half of it, 60 % of 4-grams said
 * before, a text that compresses 12 symbols to a phrase, or a piece of text that makes half of it,
 * whatever its case and the white space within. Garbage is a text of broken characters or of four scripts.
 *
 * @param ids - without the end token; may be empty where only the text is known.
 */
export function degenerationOf(text: string, ids: readonly number[]): Degeneration | undefined {
  const repetition = repetitionOf(text, ids);
  if (repetition !== undefined) return { kind: "repetition", reason: repetition };
  const garbage = garbageOf(text);
  return garbage === undefined ? undefined : { kind: "garbage", reason: garbage };
}

/** A completion as the mask sees it. */
export interface MaskedCompletion {
  text: string;
  ids: readonly number[];
  /** True when it closed itself with an end token. */
  finished: boolean;
}

/** The rules of a run's `health` section that can take a completion out of the loss. */
export interface MaskRules {
  truncation: { action: string };
  repetition: { action: string };
  garbage: { action: string };
}

/**
 * Says which completions the loss leaves out: true for those that a rule with the action `mask`
 * finds.
 *
 * A masked completion keeps its place in the group, so its reward still moves the group's mean; none
 * of its tokens counts in the loss, as of a truncated one under `mask_truncated_completions`.
 */
export function maskedBy(completions: readonly MaskedCompletion[], rules: MaskRules): boolean[] {
  const masks = (rule: keyof MaskRules): boolean => rules[rule].action === "mask";
  const degenerate = masks("repetition") || masks("garbage");
  return completions.map(({ text, ids, finished }) => {
    if (!finished && masks("truncation")) return true;
    const kind = degenerate ? degenerationOf(text, ids)?.kind : undefined;
    return kind !== undefined && masks(kind);
  });
}
