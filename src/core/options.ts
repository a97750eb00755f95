import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/**
 * Refuses options that a function does not know: programs in JavaScript have no compiler to say so.
 *
 * @param known names of all options; @param call the function's name, for the message.
 * @throws {ConfigError} `unknown-option` naming the option, the nearest known one and all of them.
 */
export function refuseUnknown(options: object, known: readonly string[], call: string): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known) ?? nearest(camelCase(name), known);
    throw new ConfigError("unknown-option", `${call} has no option ${name}.`, {
      hint: `${near === undefined ? "" : `Did you mean ${near}? `}Known here: ${known.join(", ")}.`,
    });
  }
}

/** `max_new_tokens` as `maxNewTokens`. */
function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
