/** Characters of a value that a message repeats. */
const MAX_SHOWN = 200;

/**
 * A value of a file, a configuration or a server as a message may repeat it: as JSON, its control
 * characters escaped, cut after 200 characters.
 */
export function quoted(value: unknown): string {
  // A long text is cut before it is made longer by escapes.
  const short = typeof value === "string" ? value.slice(0, MAX_SHOWN + 1) : value;
  return shown(json(short));
}

/** A text that stands in a message without quotes, such as a path: escaped and cut as `quoted`. */
export function shown(text: string): string {
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text;
  // JSON leaves what ends lines and turns text around; a terminal obeys it.
  return short.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value;
  }
}
