import { evaluateRun } from "../../eval/run.ts";
import { readText } from "#io";
import { loadConfig, resolvedYaml } from "../../config/load.ts";
import type { RunConfig } from "../../config/schema.ts";
import { Events } from "../../core/events.ts";
import type { EvalOptions, EvalResult } from "../../eval/run-interface.ts";
import { clockText } from "../../observe/console-line.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { parseRunOptions, type RunOptions } from "../options.ts";
import { type CommandModule, inThisProcess, type WithAdapter } from "../run-command.ts";
import { terminalLine } from "../terminal.ts";
import { ownVersion } from "../versions.ts";

/** Evaluates a checked configuration; tests have a stand-in. */
export type EvalEngine = (config: RunConfig, options: EvalOptions) => Promise<EvalResult>;

/**
 * The `eval` command: configuration, evaluation, scores.
 *
 * @param argv - what the user typed after `eval.js`.
 * @param engine - does the evaluation.
 * @param withAdapter - finds an adapter for it.
 * @returns the exit code: 0, or 130 after a stop by Ctrl-C, since there is no result then.
 */
export async function evalCommand(
  argv: string[],
  engine: EvalEngine,
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const info = {
    name: "eval" as const,
    summary: "Evaluates a model greedily on held-out questions as a configuration says.",
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
  return await withAdapter(() => evaluateWith(config, options, engine));
}

async function evaluateWith(
  config: RunConfig,
  options: RunOptions,
  engine: EvalEngine,
): Promise<number> {
  const stream = options.json ? process.stderr : process.stdout;
  const line = terminalLine(stream);
  const events = new Events();
  events.listen(line.listen);
  const interrupt = listenForInterrupt(() => line.print("stopping; there is no result"));
  try {
    stream.write(
      `${config.model.path}: ${config.eval.questions} questions of ${config.eval.name}\n`,
    );
    const result = await engine(config, { events, stop: interrupt.stop });
    line.end();
    if (interrupt.stop.aborted) return 130;
    const { questions, failed, seconds, scores, controls } = result;
    stream.write(`${questions} questions in ${clockText(seconds)}, ${failed} failed\n`);
    const model = config.model.path;
    const summary = {
      model,
      questions,
      failed,
      seconds: Number(seconds.toFixed(2)),
      scores,
      controls,
    };
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  } finally {
    interrupt.release();
    line.end();
  }
}

/** The `eval` command: `node eval.js CONFIG [key=value ...]`. */
export const main: CommandModule["main"] = (argv, withAdapter) =>
  evalCommand(argv, evaluateRun, withAdapter);
