import { exists, readText, writeFileAtomic } from "#io";
import { loadConfig, resolvedYaml } from "../../config/load.ts";
import type { RunConfig } from "../../config/schema.ts";
import { ConfigError } from "../../core/errors.ts";
import type { Listener } from "../../core/events.ts";
import { benchmarksOf } from "../../eval/schema.ts";
import { csvOf, markdownOf, tableOf, textOf } from "../../eval/table.ts";
import { clockText } from "../../observe/console-line.ts";
import { evaluate } from "../../run/evaluate.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { parseRunOptions, type RunCommandOptions } from "../options.ts";
import { type CommandModule, inThisProcess, type WithAdapter } from "../run-command.ts";
import { terminalLine } from "../terminal.ts";
import { ownVersion } from "../package.ts";

/**
 * Runs the `eval` command: reads what the user typed, evaluates, prints.
 *
 * @param argv - what the user typed after `eval.js`.
 * @param withAdapter - finds an adapter for it.
 * @returns the exit code: 0, or 130 after a stop by Ctrl-C, since there is no result then.
 */
export async function evalCommand(
  argv: string[],
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const info = {
    name: "eval" as const,
    summary: "Evaluates a model on the benchmarks of a configuration.",
    resumable: false,
    version: ownVersion(),
  };
  const options = parseRunOptions(info, argv, (text) => process.stdout.write(text));
  if (options === undefined) return 0;
  const config = await loadConfig(options.config, { readText, overrides: options.overrides });
  if (options.printConfig) {
    process.stdout.write(resolvedYaml(config));
    return 0;
  }
  return await withAdapter(() => evaluateAndPrint(config, options));
}

async function evaluateAndPrint(config: RunConfig, options: RunCommandOptions): Promise<number> {
  const stream = options.json ? process.stderr : process.stdout;
  const line = terminalLine(stream);
  const answers: string[] = [];
  const { out, table } = options;
  if (out !== undefined) await refuseFile("--out", out);
  if (table !== undefined) await refuseFile("--table", table);
  if (table !== undefined && !/\.(md|csv)$/.test(table)) {
    throw new ConfigError("usage", `--table ${table} ends neither with .md nor with .csv.`, {
      hint: "Name the file accordingly.",
    });
  }
  const onEvent: Listener = (event) => {
    line.listen(event);
    if (event.kind === "answer" && options.out !== undefined) {
      answers.push(`${JSON.stringify(event.data)}\n`);
    }
  };
  const interrupt = listenForInterrupt(() => line.print("stopping; there is no result"));
  try {
    const names = benchmarksOf(config.eval).map(({ name }) => name);
    stream.write(`${config.model.path} on ${names.join(", ") || "nothing"}\n`);
    const result = await evaluate(config, { onEvent, signal: interrupt.stop });
    line.end();
    if (interrupt.stop.aborted) return 130;
    const cells = tableOf(result.benchmarks);
    stream.write(textOf(cells));
    if (table !== undefined) {
      await writeFileAtomic(table, table.endsWith(".md") ? markdownOf(cells) : csvOf(cells));
      stream.write(`table in ${table}\n`);
    }
    stream.write(`done in ${clockText(result.seconds)}\n`);
    if (options.out !== undefined) {
      await writeFileAtomic(options.out, answers.join(""));
      stream.write(`answers in ${options.out}\n`);
    }
    const { benchmarks } = result;
    const seconds = Number(result.seconds.toFixed(2));
    const summary = { model: config.model.path, seconds, benchmarks };
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  } finally {
    interrupt.release();
    line.end();
  }
}

/** Refuses a file that is there: nothing of another evaluation is overwritten. */
async function refuseFile(option: string, path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new ConfigError("out-exists", `${option} names ${path}, which is there already.`, {
    hint: "Name another file, or move that one away.",
  });
}

/** The `eval` command: `node eval.js CONFIG [key=value ...]`. */
export const main: CommandModule["main"] = (argv, withAdapter) => evalCommand(argv, withAdapter);
