import { Command } from "commander";
import { ConfigError } from "../core/errors.ts";
import { reportError, runCommand } from "./run-command.ts";
import { parseCommandLine } from "./usage.ts";
import { ownVersion } from "./versions.ts";

/** One command of `aubade`. */
export interface CommandEntry {
  /** File in `commands/` without its ending; it exports `main(argv)`. */
  file: string;
  summary: string;
  /** False for a command that uses no GPU. */
  adapter: boolean;
}

/** Every command by the word that the user types. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  train: {
    ...{ file: "train", adapter: true },
    summary: "train a model as a configuration says",
  },
  eval: {
    ...{ file: "eval", adapter: true },
    summary: "evaluate a model on held-out questions",
  },
  export: {
    ...{ file: "export", adapter: false },
    summary: "write a trained model as a folder that transformers and peft load",
  },
  dump: {
    ...{ file: "dump", adapter: true },
    summary: "write a model's inputs, hidden states, logits and gradients to a file",
  },
  verify: {
    ...{ file: "verify", adapter: true },
    summary: "print what a model computes of fixed prompts, and compare with transformers",
  },
};

/**
 * Runs the command that the first word names, with the words after it.
 *
 * @returns the exit code: the command's own, 0 after help, 2 for a word that is no command.
 */
export async function runAubade(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv;
  const entry = word !== undefined && Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (entry !== undefined) return runCommand(entry.file, rest, entry.adapter);
  const program = new Command("aubade")
    .description("Trains audio-visual language models through WebGPU.")
    .version(ownVersion())
    .addHelpText("after", "\nEach command explains itself: aubade COMMAND --help");
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    program.command(name).description(summary).helpOption(false).argument("[arguments...]");
  }
  if (word === undefined) {
    process.stdout.write(program.helpInformation());
    return 0;
  }
  try {
    const asked = parseCommandLine(program, argv, (text) => process.stdout.write(text));
    if (!asked) return 0;
    throw new ConfigError("usage", `"${word}" is no command.`, { hint: "Run aubade --help." });
  } catch (error) {
    return reportError(error);
  }
}
