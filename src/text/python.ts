/**
 * Text functions with Python's meaning, for rewards whose sources are written in Python. JavaScript
 * differs in what counts as white space, in how numbers are read and in how ties are rounded.
 */

/** Characters of a number that is still read; a longer text is no number. */
export const LONGEST_NUMBER = 1000;

/** The numbers that Python's float() reads, but for digits of other scripts. */
const FLOAT = /^[+-]?(?:\d[\d_]*(?:\.(?:\d[\d_]*)?)?|\.\d[\d_]*)(?:e[+-]?\d[\d_]*)?$/i;

/** Tells whether a UTF-16 unit is white space for Python's `str` and `re`. */
function isSpace(code: number): boolean {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x20);
  if (code === 0x85 || code === 0xa0 || code === 0x1680 || code === 0x3000) return true;
  if (code >= 0x2000 && code <= 0x200a) return true;
  return code === 0x2028 || code === 0x2029 || code === 0x202f || code === 0x205f;
}

/** Python's `str.strip()`; zero-width characters and the byte order mark stay. */
export function strip(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Returns the end of the white space that begins at `at`. */
export function skipSpace(text: string, at: number): number {
  let end = at;
  while (end < text.length && isSpace(text.charCodeAt(end))) end++;
  return end;
}

/** Python's `str.split()`, which stops after `most` words. */
export function splitWords(text: string, most = Infinity): string[] {
  const words: string[] = [];
  for (let at = skipSpace(text, 0); at < text.length && words.length < most;) {
    const start = at;
    while (at < text.length && !isSpace(text.charCodeAt(at))) at++;
    words.push(text.slice(start, at));
    at = skipSpace(text, at);
  }
  return words;
}

/**
 * Python's `float(text)`, or undefined where that raises.
 *
 * Infinities and NaN are no numbers here, nor are digits of other scripts: an answer of "nan" earns
 * full marks in sources that clamp a relative error with min and max.
 */
export function readFloat(text: string): number | undefined {
  const bare = strip(text);
  if (bare.length > LONGEST_NUMBER || !FLOAT.test(bare)) return undefined;
  if (/_(?!\d)/.test(bare)) return undefined;
  const value = Number(bare.replaceAll("_", ""));
  return Number.isFinite(value) ? value : undefined;
}

/** Python's `round(value, 2)`: to the nearest hundredth of the exact value, ties to even. */
export function roundHundredths(value: number): number {
  const size = Math.abs(value);
  let text = size.toFixed(2);
  // Only odd multiples of 1/8 tie; toFixed takes the larger neighbour, Python the even one.
  const last = Number(text.at(-1));
  if ((size * 8) % 2 === 1 && last % 2 === 1) text = `${text.slice(0, -1)}${last - 1}`;
  return value < 0 ? -Number(text) : Number(text);
}
