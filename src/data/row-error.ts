import { AubadeError, CheckpointError, ConfigError, DataError } from "../core/errors.ts";
import type { MediaPart } from "../text/chat-template.ts";
import { mediaName } from "./media-paths.ts";

/**
 * Returns an error of a row with the place of the row and the name of the medium before its message,
 * where it does not say them already; code and remedy stay. Errors that are no one's fault in the
 * data stay as they are.
 */
export function inRow(
  error: unknown,
  { id, place = id }: { id: string; place?: string | undefined },
  part?: MediaPart,
): unknown {
  if (!(error instanceof AubadeError)) return error;
  const { code, hint, message } = error;
  let what = hint === undefined ? message : message.slice(0, -(hint.length + 1));
  const named = part === undefined ? undefined : mediaName(part);
  // A message that begins with the row's id is of its text, or names the medium itself.
  const absent =
    named !== undefined &&
    !what.startsWith(`${id}: `) &&
    !named.split(",").some((name) => what.includes(fileName(name)));
  if (absent) what = `${named}: ${lower(what)}`;
  if (!what.startsWith(place)) what = `${place}: ${what}`;
  else if (!absent) return error;
  const details = { cause: error, ...(hint !== undefined && { hint }) };
  if (error instanceof ConfigError) return new ConfigError(code, what, details);
  if (error instanceof CheckpointError) return new CheckpointError(code, what, details);
  return new DataError(code, what, details);
}

function fileName(path: string): string {
  return path.replace(/^.*[/\\]/, "");
}

/** Returns a message that goes on after a colon. */
function lower(text: string): string {
  return /^(A|An|The) /.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
