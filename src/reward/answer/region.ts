/** Characters of a completion's end in which an answer is looked for. */
const LONGEST = 20_000;

/**
 * Returns where a text gives its answer: in what follows the last `</think>` (in the whole text
 * where nothing does) the last `<answer>` block, the last `\boxed{}`, or all of it.
 */
export function regionOf(text: string): { start: number; end: number; marked: boolean } {
  let start = lastEnd(text, /<\/think>/gi) ?? 0;
  if (text.slice(start).trim() === "") start = 0;
  let [end, marked] = [text.length, false];
  const said = text.slice(start);
  const open = lastEnd(said, /<answer>/gi);
  if (open !== undefined) {
    const close = said.slice(open).search(/<\/answer>/i);
    const stop = close < 0 ? said.length : open + close;
    if (said.slice(open, stop).trim() !== "") {
      [start, end, marked] = [start + open, start + stop, true];
    }
  }
  const boxed = lastBoxed(text.slice(start, end));
  if (boxed !== undefined) [start, end, marked] = [start + boxed[0], start + boxed[1], true];
  return { start: Math.max(start, end - LONGEST), end, marked };
}

/** Returns the index at which the last match ends. */
function lastEnd(text: string, pattern: RegExp): number | undefined {
  let end: number | undefined;
  for (const match of text.matchAll(pattern)) end = match.index + match[0].length;
  return end;
}

/** Returns the span inside the last `\boxed{...}`, braces within it in pairs. */
function lastBoxed(text: string): [start: number, end: number] | undefined {
  const open = text.lastIndexOf("\\boxed{");
  if (open < 0) return undefined;
  const start = open + "\\boxed{".length;
  let depth = 1;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "{") depth++;
    else if (text[at] === "}" && --depth === 0) {
      return text.slice(start, at).trim() === "" ? undefined : [start, at];
    }
  }
  return undefined;
}
