import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";

/** Levels of lists and tables that are read; headers and indexes have three. */
const MAX_DEPTH = 64;
/** Characters of a name and values of a list that a message shows. */
const SHOWN_CHARS = 200;
const SHOWN_VALUES = 8;

/**
 * Parses UTF-8 JSON whose root is a table, without what other parsers read in another way: a name
 * that comes twice in a table.
 *
 * @param what the thing that is parsed, with the name of its file, for messages.
 * @throws {CheckpointError} with `code`, or `duplicate-name`.
 */
export function parseTable(bytes: Uint8Array, what: string, code: string): Record<string, unknown> {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(code, `${what} is not JSON.`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw damaged(code, `${what} is not an object.`);
  }
  checkNames(text, what, code);
  return json as Record<string, unknown>;
}

/**
 * Returns a name or value as a message shows it: in one line, and short whatever was in the file.
 */
export function show(value: unknown): string {
  if (!Array.isArray(value)) return showPart(value);
  const parts = value.slice(0, SHOWN_VALUES).map(showPart);
  if (value.length > SHOWN_VALUES) parts.push("...");
  return `[${parts.join(", ")}]`;
}

/** Returns an error about a file that is not what it should be. */
export function damaged(code: string, message: string, cause?: unknown): CheckpointError {
  const hint = "The file is damaged or of another format; fetch it again.";
  return new CheckpointError(code, message, cause === undefined ? { hint } : { hint, cause });
}

function showPart(value: unknown): string {
  if (Array.isArray(value)) return "[...]";
  if (typeof value === "object" && value !== null) return "{...}";
  if (typeof value !== "string") return String(value);
  return quoted(value, SHOWN_CHARS);
}

/** JSON.parse keeps the last of equal names in silence, so its text is walked once for them. */
function checkNames(text: string, what: string, code: string): void {
  const open: (Set<string> | undefined)[] = [];
  const afterString = /\s*:/y;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x7b || c === 0x5b) {
      if (open.push(c === 0x7b ? new Set() : undefined) <= MAX_DEPTH) continue;
      throw damaged(code, `${what} has more than ${MAX_DEPTH} levels.`);
    }
    if (c === 0x7d || c === 0x5d) open.pop();
    if (c !== 0x22) continue;
    const start = i++;
    while (text.charCodeAt(i) !== 0x22) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
    afterString.lastIndex = i + 1;
    if (!afterString.test(text)) continue;
    const name = JSON.parse(text.slice(start, i + 1)) as string;
    const names = open.at(-1)!;
    if (names.has(name)) throw damaged("duplicate-name", `${what} lists ${show(name)} twice.`);
    names.add(name);
  }
}
