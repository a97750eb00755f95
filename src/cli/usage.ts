import { type Command, CommanderError } from "commander";
import { ConfigError } from "../core/errors.ts";

/**
 * Parses what the user typed with a commander program, errors as aubade raises them.
 *
 * @param print - takes help and version.
 * @returns false when the user only asked for help or the version.
 * @throws {ConfigError} `usage` for an unknown option or a missing argument.
 */
export function parseCommandLine(
  program: Command,
  argv: readonly string[],
  print: (text: string) => void,
): boolean {
  program.exitOverride().configureOutput({ writeOut: print, writeErr: () => {} });
  try {
    program.parse(argv as string[], { from: "user" });
    return true;
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    if (cause.exitCode === 0) return false;
    const message = cause.message.replace(/^error: /, "").replace("\n", " ");
    throw new ConfigError("usage", `${message}.`.replace(/([.?)])\.$/, "$1"), {
      hint: `Run ${program.name()} --help.`,
      cause,
    });
  }
}
