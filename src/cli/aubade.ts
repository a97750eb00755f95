import { Command } from "commander";
import { ConfigError } from "../core/errors.ts";
import { type CommandModule, reportError, runCommand } from "./run-command.ts";
import { parseCommandLine } from "./usage.ts";
import { ownVersion } from "./package.ts";

/** A command of `aubade`. */
export interface CommandEntry {
  summary: string;
  /** Imports the command's module. */
  load: () => Promise<CommandModule>;
}

/** The commands by the word that the user types. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  train: {
    summary: "train a model as a configuration says",
    load: () => import("./commands/train.ts"),
  },
  eval: {
    summary: "evaluate a model on held-out questions",
    load: () => import("./commands/eval.ts"),
  },
  data: {
    summary: "data check: examine the data of a configuration without a GPU",
    load: () => import("./commands/data.ts"),
  },
  compare: {
    summary: "compare two evaluations question by question",
    load: () => import("./commands/compare.ts"),
  },
  generate: {
    summary: "ask a model about pictures, clips and sounds",
    load: () => import("./commands/generate.ts"),
  },
  doctor: {
    summary: "say what this machine has for aubade, and what would make it faster",
    load: () => import("./commands/doctor.ts"),
  },
  export: {
    summary: "write a trained model as a folder that transformers and peft load",
    load: () => import("./commands/export.ts"),
  },
  dump: {
    summary: "write a model's inputs, hidden states, logits and gradients to a file",
    load: () => import("./commands/dump.ts"),
  },
  verify: {
    summary: "print what a model computes of fixed prompts, and compare with transformers",
    load: () => import("./commands/verify.ts"),
  },
  node: {
    summary: "run a program of your own under a node that has a WebGPU adapter",
    load: () => import("./commands/node.ts"),
  },
};

/**
 * Runs the command that the first word names, with the words after it.
 *
 * @returns the exit code: the command's own, 0 after help, 2 for a word that is no command.
 */
export async function runAubade(argv: readonly string[]): Promise<number> {
  const asks = argv[0] === "help" && argv[1] !== undefined;
  const [word, ...rest] = asks ? [argv[1]!, "--help"] : argv;
  const entry = word !== undefined && Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (entry !== undefined) return runCommand(entry.load, rest);
  const program = new Command("aubade")
    .description("Trains audio-visual language models through WebGPU.")
    .version(ownVersion(), "-v, --version")
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

/**
 * Runs what the user typed after `aubade` and ends with its exit code.
 *
 * An output that is closed at its other end (a terminal that is gone, a pipe into `head`) or full is
 * no failure: what is worth keeping is in files, and a run goes on.
 */
export async function launch(argv: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.exitCode = await runAubade(argv);
}
