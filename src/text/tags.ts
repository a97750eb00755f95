/**
 * Searches for tags as the regular expressions of the sources do, in time linear in the text: the
 * same expressions in a backtracking engine take minutes on a megabyte of opening tags.
 */
import { skipSpace } from "./python.ts";

/**
 * Returns the text in the first `<tag>`, up to the nearest `</tag>`: `<tag>(.*?)</tag>`, dots match
 * all.
 */
export function firstBlock(text: string, tag: string): string | undefined {
  const open = text.indexOf(`<${tag}>`);
  if (open < 0) return undefined;
  const start = open + tag.length + 2;
  const close = text.indexOf(`</${tag}>`, start);
  return close < 0 ? undefined : text.slice(start, close);
}

/** Returns the text between the first `<tag>` and the last `</tag>`: `<tag>([\s\S]*)</tag>`. */
export function widestBlock(text: string, tag: string): string | undefined {
  const open = text.indexOf(`<${tag}>`);
  if (open < 0) return undefined;
  const start = open + tag.length + 2;
  const close = text.lastIndexOf(`</${tag}>`);
  return close < start ? undefined : text.slice(start, close);
}

/**
 * Returns the first block that has no line feed in it: `<tag>(.*?)</tag>`, dots stop at line feeds.
 */
export function firstLineBlock(text: string, tag: string): string | undefined {
  const [opening, closing] = [`<${tag}>`, `</${tag}>`];
  let close = -1;
  for (let open = text.indexOf(opening); open >= 0;) {
    const start = open + opening.length;
    if (close < start) close = text.indexOf(closing, start);
    if (close < 0) return undefined;
    const line = text.indexOf("\n", start);
    if (line < 0 || line > close) return text.slice(start, close);
    open = text.indexOf(opening, line);
  }
  return undefined;
}

/** Says how often a text stands in another, without overlaps; counting stops at `most`. */
function countOf(text: string, part: string, most = Infinity): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0 && count < most; at = text.indexOf(part, at)) {
    count++;
    at += part.length;
  }
  return count;
}

/** Tells whether each of some tags opens once and closes once. */
export function eachOnce(text: string, tags: readonly string[]): boolean {
  return tags.every(
    (tag) => countOf(text, `<${tag}>`, 2) === 1 && countOf(text, `</${tag}>`, 2) === 1,
  );
}

/**
 * Finds `</first>`, white space or none, and `<second>` in a row, from `from` on: the ends
 * of the join, or undefined.
 */
export function findJoin(
  text: string,
  first: string,
  second: string,
  from: number,
): { start: number; end: number } | undefined {
  const [closing, opening] = [`</${first}>`, `<${second}>`];
  for (let at = text.indexOf(closing, from); at >= 0; at = text.indexOf(closing, at + 1)) {
    const next = skipSpace(text, at + closing.length);
    if (text.startsWith(opening, next)) return { start: at, end: next + opening.length };
  }
  return undefined;
}
