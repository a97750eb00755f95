import { porterStem } from "../../text/porter.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** Kinds of overlap: single words, pairs of words, the longest common subsequence, their mean. */
export const ROUGE_KINDS = ["1", "2", "L", "mean"] as const;

/** Options of what is compared. */
export interface RougeOptions {
  /** Which overlap; the default is the mean of the three. */
  kind?: (typeof ROUGE_KINDS)[number];
  /** True when words of more than three letters are cut to their stems; the default. */
  stem?: boolean;
}

/** Letters by which a stem can be shorter than its word, with a margin. */
const LONGEST_ENDING = 24;

/**
 * F measure of ROUGE between answer and right answer, 0 to 1: of ROUGE-1, ROUGE-2, ROUGE-L, or the
 * mean of the three. The answer is the first block; without one it is empty.
 *
 * Words are runs of a-z and 0-9 in lower case. Overlaps are counted at most as often as the right
 * answer has them, so that repetition costs precision.
 *
 * Source: Lin 2004, "ROUGE", as google-research rouge_score 0.1.2 computes it; the mean of three with
 * stems is type "free-form" of tulerfeng/Video-R1 (59d65c3, 2025-12-14), kind L that of EchoInk.
 */
export function rougeReward({ kind = "mean", stem = true }: RougeOptions = {}): Reward {
  return defineReward("rouge", ({ text }, row) => {
    const { rouge1, rouge2, rougeL } = rougeScores(
      goldOf(row),
      firstBlock(text, "answer") ?? "",
      stem,
    );
    if (kind === "1") return rouge1;
    if (kind === "2") return rouge2;
    return kind === "L" ? rougeL : (rouge1 + rouge2 + rougeL) / 3;
  });
}

/** Returns the F measures of two texts. */
export function rougeScores(
  reference: string,
  hypothesis: string,
  stem: boolean,
): { rouge1: number; rouge2: number; rougeL: number } {
  const cut = (word: string): string => (stem && word.length > 3 ? porterStem(word) : word);
  const right = wordsOf(reference).map(cut);
  const places = new Map<string, number>();
  for (const word of right) if (!places.has(word)) places.set(word, places.size + 1);
  const gold = Int32Array.from(right, (word) => places.get(word)!);
  const said = placesIn(hypothesis, right, places, cut);
  const size = places.size + 1;
  return {
    rouge1: fMeasure(overlap(gold, said), gold.length, said.length),
    rouge2: fMeasure(overlap(pairs(gold, size), pairs(said, size)), gold.length - 1, said.length - 1), // prettier-ignore
    rougeL: fMeasure(longestCommon(gold, said, places.size), gold.length, said.length),
  };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

/** Tells whether a UTF-16 unit is one of a-z and 0-9. */
function inWord(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
}

/**
 * For each word of a text its place among the reference's words, 0 where the reference lacks it. Most
 * words of a long text can be told by how they begin or their length, and need not be cut to stems.
 */
function placesIn(
  text: string,
  right: readonly string[],
  places: ReadonlyMap<string, number>,
  cut: (word: string) => string,
): Int32Array {
  const lower = text.toLowerCase();
  // Stems lose or change at most their last three letters, so words begin as their stems do.
  const starts = new Map<number, Set<string>>();
  for (const word of right) {
    const start = word.slice(0, Math.max(1, word.length - 3));
    const initial = start.charCodeAt(0);
    starts.set(initial, (starts.get(initial) ?? new Set()).add(start));
  }
  const longest = right.reduce((most, word) => Math.max(most, word.length), 0) + LONGEST_ENDING;
  const known = new Map<string, number>();
  const place = (start: number, end: number): number => {
    const begins = end - start > longest ? undefined : starts.get(lower.charCodeAt(start));
    if (begins === undefined) return 0;
    let like = false;
    for (const begin of begins) like ||= lower.startsWith(begin, start);
    if (!like) return 0;
    const word = lower.slice(start, end);
    let found = known.get(word);
    if (found === undefined) known.set(word, (found = places.get(cut(word)) ?? 0));
    return found;
  };
  const found = new Int32Array((lower.length + 1) >> 1);
  let count = 0;
  for (let at = 0; at < lower.length; at++) {
    if (!inWord(lower.charCodeAt(at))) continue;
    const start = at;
    while (at < lower.length && inWord(lower.charCodeAt(at))) at++;
    found[count++] = place(start, at);
  }
  return found.subarray(0, count);
}

/** Pairs of neighbours, each as one number; 0 where a word is not the reference's. */
function pairs(words: Int32Array, size: number): Float64Array {
  const found = new Float64Array(Math.max(0, words.length - 1));
  for (let at = 1; at < words.length; at++) {
    const [first, next] = [words[at - 1]!, words[at]!];
    if (first !== 0 && next !== 0) found[at - 1] = first * size + next;
  }
  return found;
}

/** Items in both but 0, each at most as often as the reference has it. */
function overlap(
  reference: Int32Array | Float64Array,
  hypothesis: Int32Array | Float64Array,
): number {
  const left = new Map<number, number>();
  for (const item of reference) left.set(item, (left.get(item) ?? 0) + 1);
  let shared = 0;
  for (let at = 0; at < hypothesis.length && shared < reference.length; at++) {
    const item = hypothesis[at]!;
    const count = item === 0 ? 0 : (left.get(item) ?? 0);
    if (count === 0) continue;
    left.set(item, count - 1);
    shared++;
  }
  return shared;
}

function fMeasure(shared: number, right: number, said: number): number {
  if (shared === 0) return 0;
  const [precision, recall] = [shared / said, shared / right];
  return (2 * precision * recall) / (precision + recall);
}

/**
 * Length of the longest common subsequence, 16 words of the reference at a time in one integer
 * (Hyyro 2004, "Bit-parallel LCS-length computation revisited"): a cleared bit is a word matched.
 */
function longestCommon(reference: Int32Array, hypothesis: Int32Array, vocabulary: number): number {
  const cells = Math.ceil(reference.length / 16);
  const masks = new Int32Array((vocabulary + 1) * cells);
  reference.forEach((word, at) => (masks[word * cells + (at >> 4)]! |= 1 << (at & 15)));
  const state = new Int32Array(cells).fill(0xffff);
  for (let at = 0; at < hypothesis.length; at++) {
    const word = hypothesis[at]!;
    if (word === 0) continue;
    let carry = 0;
    for (let cell = 0; cell < cells; cell++) {
      const before = state[cell]!;
      const hit = before & masks[word * cells + cell]!;
      const sum = before + hit + carry;
      carry = sum >> 16;
      state[cell] = (sum | (before & ~hit)) & 0xffff;
    }
  }
  let length = 0;
  for (let at = 0; at < reference.length; at++) {
    if (((state[at >> 4]! >> (at & 15)) & 1) === 0) length++;
  }
  return length;
}
