/** Characters of a value that a message repeats. */
const MAX_SHOWN = 200;

/**
 * Returns a value of a file, a configuration or a server as a message may repeat it: as JSON, its
 * control characters escaped, cut after `most` characters.
 */
export function quoted(value: unknown, most = MAX_SHOWN): string {
  if (typeof value !== "string") return shown(json(value), most);
  // A long text is cut before it is made longer by escapes, and has its quotes.
  return json(cut(value, most)).replace(OBEYED, escape);
}

/**
 * Returns a text that stands in a message without quotes, such as a path: escaped and cut as
 * `quoted`.
 */
export function shown(text: string, most = MAX_SHOWN): string {
  return cut(text, most).replace(OBEYED, escape);
}

/** Returns a whole message as a terminal may print it: only its line feeds and tabs are obeyed. */
export function printable(message: string): string {
  return message.replace(OBEYED, (c) => (c === "\n" || c === "\t" ? c : escape(c)));
}

/** JSON leaves what ends lines and turns text around; a terminal obeys it. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function escape(character: string): string {
  return `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`;
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value;
  }
}
