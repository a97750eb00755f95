/**
 * The smallest byte-level BPE in which each of a list of words is one token.
 *
 * Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units",
 * algorithm 1, over the bytes of GPT-2's printable alphabet.
 */

/** The printable character of each byte, as byte-level tokenizers write it. */
export function byteAlphabet(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
}

/** A vocabulary in id order and the merges that reach it, each as its two parts. */
export interface Bpe {
  tokens: string[];
  merges: [string, string][];
}

/** Merges the most frequent pair of neighbours, ties in code point order, until words are whole. */
export function trainBpe(words: readonly string[]): Bpe {
  const alphabet = byteAlphabet();
  const encoder = new TextEncoder();
  let pieces = words.map((word) => Array.from(encoder.encode(word), (byte) => alphabet[byte]!));
  // The printable bytes first, as in the vocabularies of GPT-2 and Qwen.
  const tokens = [...alphabet].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  const merges: [string, string][] = [];
  for (;;) {
    const pair = mostFrequentPair(pieces);
    if (pair === undefined) return { tokens, merges };
    merges.push(pair);
    if (!tokens.includes(pair.join(""))) tokens.push(pair.join(""));
    pieces = pieces.map((word) => merge(word, pair));
  }
}

function mostFrequentPair(words: readonly string[][]): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const word of words) {
    for (let at = 0; at + 1 < word.length; at++) {
      const key = `${word[at]} ${word[at + 1]}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  let best: string | undefined;
  for (const [key, count] of counts) {
    const top = best === undefined ? 0 : counts.get(best)!;
    if (count > top || (count === top && key < best!)) best = key;
  }
  return best?.split(" ") as [string, string] | undefined;
}

function merge(word: readonly string[], [left, right]: readonly [string, string]): string[] {
  const merged: string[] = [];
  for (let at = 0; at < word.length; at++) {
    const fits = word[at] === left && word[at + 1] === right;
    merged.push(fits ? left + right : word[at]!);
    if (fits) at++;
  }
  return merged;
}
