import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { equivalent, withSection } from "../config/trl-names.ts";
import { ConfigError } from "../core/errors.ts";
import { ROOT } from "./package.ts";
import { parseCommandLine } from "./usage.ts";

/** The options that a user typed after `node train.js` or `node eval.js`. */
export interface RunCommandOptions {
  /** Path of the configuration. */
  config: string;
  /** `a.b=c` settings laid over it. */
  overrides: string[];
  /** Print one JSON object on stdout at the end; everything else goes to stderr. */
  json: boolean;
  /** Continue from the newest whole checkpoint. */
  resume: boolean;
  /** File for the answers, one row a question; undefined for none. */
  out: string | undefined;
  /** File for the table of results, Markdown or CSV by its ending; undefined for none. */
  table: string | undefined;
  /** A run folder, or a checkpoint in one, to continue from. */
  resumePath?: string;
  /** Print the resolved configuration and do nothing. */
  printConfig: boolean;
}

/** A command that reads a configuration. */
export interface RunCommandInfo {
  name: "train" | "eval";
  summary: string;
  /** True when it has a run to resume. */
  resumable: boolean;
  version: string;
}

const HELP = `
Examples:
  node train.js configs/tiny.yaml train.max_steps=20
  node eval.js configs/tiny.yaml model.path=runs/tiny-001/model

Overrides win over the file and are read as YAML:
  train.max_steps=20  rewards.0.weight=0.1  data.kinds='[see, hear]'
A setting of train may go without its section: max_steps=20.
Every setting: docs/configuration.md. The GPU is the fastest that WebGPU finds.`;

/**
 * Reads a command line of the form CONFIG [key=value ...] [options].
 *
 * `--debug` sets AUBADE_DEBUG, which makes errors print their stack.
 *
 * @returns the options, or undefined when the user only asked for help or the version.
 * @throws {ConfigError} `usage` when an option is unknown or the configuration is not named.
 */
export function parseRunOptions(
  info: RunCommandInfo,
  argv: readonly string[],
  print: (text: string) => void,
): RunCommandOptions | undefined {
  const program = new Command(`node ${info.name}.js`)
    .description(info.summary)
    .argument("<config>", "YAML file, or one that aubade ships, such as configs/tiny.yaml")
    .argument("[overrides...]", "settings laid over it: key=value")
    .option("--json", "print one JSON object at the end", false)
    .option("--print-config", "print the resolved configuration and stop", false)
    .option("--debug", "print the stack of errors", false)
    .version(info.version, "-v, --version")
    .addHelpText("after", HELP);
  if (info.resumable) {
    program.option(
      "--resume [path]",
      "continue from the newest whole checkpoint, of this run folder or from this checkpoint",
    );
  } else {
    program
      .option("--out <file>", "write every answer to a JSON Lines file")
      .option("--table <file>", "write the results as a table: .md or .csv");
  }
  const words = info.resumable ? resumeWords(argv) : argv;
  refuseSettingsWithDashes(program, words);
  if (!parseCommandLine(program, words, print)) return undefined;
  const flags = program.opts<
    Record<"json" | "printConfig" | "debug", boolean> & {
      resume?: string;
      out?: string;
      table?: string;
    }
  >();
  if (flags.debug) process.env["AUBADE_DEBUG"] = "1";
  const [config, ...typed] = program.args;
  const overrides = typed.map(withSection);
  const { json, printConfig, resume: path, out, table } = flags;
  const shared = { config: shipped(config!), overrides, json, out, table, printConfig };
  return { ...shared, resume: path !== undefined, ...(path && { resumePath: path }) };
}

/** Answers `--max_steps 5`, as other trainers take it, with the setting that is meant. */
function refuseSettingsWithDashes(program: Command, argv: readonly string[]): void {
  for (const [at, word] of argv.entries()) {
    const [, name, given] = /^--([A-Za-z][\w-]*)(?:=(.*))?$/.exec(word) ?? [];
    if (name === undefined || program.options.some(({ long }) => long === `--${name}`)) continue;
    const meant = equivalent(name);
    if (meant === undefined) continue;
    const setting = /^(?:It is|Did you mean) ([\w.]+\w)[.,?]/.exec(meant)?.[1];
    const value = given ?? argv[at + 1] ?? "VALUE";
    const example = setting === undefined ? "" : ` Write ${setting}=${value}.`;
    throw new ConfigError("usage", `--${name} is no option; settings are written key=value.`, {
      hint: `${meant}${example}`,
    });
  }
}

/** `--resume` and its path as one word, so that no setting or configuration is taken for the path. */
function resumeWords(argv: readonly string[]): string[] {
  // TRL's name, which takes a path as well.
  const words = argv.map((word) =>
    word.replace(/^--resume[-_]from[-_]checkpoint(?=$|=)/, "--resume"),
  );
  const at = words.indexOf("--resume");
  if (at < 0) return words;
  const next = words[at + 1];
  const isSetting = (word: string) => /^[\w.-]+=/.test(word);
  const others = words.filter(
    (word, i) => i !== at + 1 && !word.startsWith("-") && !isSetting(word),
  );
  const isPath =
    next !== undefined && !next.startsWith("-") && !isSetting(next) && others.length > 0;
  words.splice(at, isPath ? 2 : 1, `--resume=${isPath ? next : ""}`);
  return words;
}

/**
 * Returns the configuration that is meant: one of the current folder, else one that aubade ships.
 */
export function shipped(path: string): string {
  const own = join(ROOT, path);
  return !existsSync(path) && existsSync(own) ? own : path;
}
