import { dirname } from "node:path";
import { exists, readText } from "#io";
import { loadConfig, resolvedYaml } from "../../config/load.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Listener } from "../../core/events.ts";
import type { Evaluations } from "../../core/run-events.ts";
import { baseName, joinPath } from "../../io/path.ts";
import { clockText, scoresText } from "../../observe/console-line.ts";
import { TENSORBOARD_FOLDER } from "../../observe/run-logs.ts";
import { trackerCommands } from "../../observe/trackers.ts";
import { type FoundRun, lastRun, runAt } from "../../run/find-run.ts";
import { nextRunFolder, RUN_FILES } from "../../run/folder.ts";
import type { TrainResult } from "../../run/options.ts";
import { train } from "../../run/train.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { parseRunOptions, type RunCommandOptions } from "../options.ts";
import { type CommandModule, inThisProcess, type WithAdapter } from "../run-command.ts";
import { terminalLine } from "../terminal.ts";
import { ownVersion } from "../package.ts";

const RUNS = "runs";

/** The summary that `--json` prints at the end of a run. */
export interface RunSummary {
  seed: number;
  steps: number;
  seconds: number;
  before: Evaluations | null;
  after: Evaluations | null;
  runDir: string;
  /** Only when the configuration asks for controls. */
  controls?: TrainResult["controls"];
  /** Only when the run was stopped before its last step. */
  stopped?: true;
}

/** Returns the name of a configuration's runs; a run's own record has that of the run. */
function runName(configPath: string): string {
  const own = /([^\\/]+)-\d{3,}[\\/]config\.yaml$/.exec(configPath)?.[1];
  return own ?? baseName(configPath).replace(/\.(ya?ml|json)$/, "");
}

/** Returns a word of a command as a POSIX shell takes it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Returns the run whose own record a configuration is; undefined for any other configuration. */
async function runOf(configPath: string): Promise<string | undefined> {
  if (baseName(configPath) !== RUN_FILES.config) return undefined;
  const folder = dirname(configPath);
  return (await exists(joinPath(folder, RUN_FILES.facts))) ? folder : undefined;
}

/** Chooses the folder of a run, and where it is resumed the one that is meant. */
export async function chooseRun(config: RunConfig, options: RunCommandOptions): Promise<FoundRun> {
  const { resume, resumePath } = options;
  const named = config.output.run_dir;
  if (resumePath !== undefined) return await runAt(resumePath);
  if (resume) {
    const moved = options.overrides.some((word) => word.startsWith("output.run_dir="));
    const own = moved ? undefined : await runOf(options.config);
    const folder = own ?? named;
    return folder === null
      ? await lastRun(RUNS, runName(options.config))
      : { folder, passedOver: [] };
  }
  return { folder: named ?? (await nextRunFolder(RUNS, runName(options.config))), passedOver: [] };
}

/** Returns a number with its unit, in the singular where it is one. */
function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function plan(config: RunConfig, folder: string, from: number): string {
  const { train, sft, model } = config;
  const { max_steps: steps, num_train_epochs: epochs } = train;
  const length = steps === null ? counted(epochs, "epoch") : counted(steps, "step");
  const grpo = `${length} x ${train.prompts_per_step} prompts x ${train.num_generations} completions`;
  const stages = sft.stages.map(
    ({ steps, clips_per_step: clips }) => `${steps} steps x ${clips} clips`,
  );
  const what = config.task === "grpo" ? `GRPO, ${grpo}` : `supervised, ${stages.join(", then ")}`;
  const start = from > 0 ? `, from step ${from}` : "";
  return `${baseName(folder)}: ${what}${start}; ${model.path}, seed ${train.seed}
folder ${folder}; watch it with tensorboard --logdir ${folder}; Ctrl-C saves and stops
`;
}

/** Commands that a user may want after a first run. */
const NEXT = [
  "a GPU is used by itself where WebGPU finds one (Vulkan, Metal or Direct3D 12 driver)",
  "more: node train.js CONFIG key=value ..., every key is in docs/configuration.md",
];

/** One line a benchmark; the name is left out where there is one only. */
function scoreLines(when: string, evaluations: Evaluations | null): string[] {
  const all = Object.entries(evaluations ?? {});
  return all.map(([name, scores]) => {
    const of = all.length > 1 ? `${name}: ` : "";
    return `${when.padEnd(8)}${of}${scoresText(scores)}`;
  });
}

function closing(result: TrainResult, folder: string): string {
  const record = shellWord(joinPath(folder, RUN_FILES.config));
  const { before, after, steps, seconds, stopped } = result;
  const lines = [`${stopped ? "stopped" : "done"} after ${steps} steps in ${clockText(seconds)}`];
  lines.push(...scoreLines("before", before), ...scoreLines("after", after));
  lines.push(
    stopped ? `continue with: node train.js ${record} --resume` : `${folder}: README.md, curve.svg`,
  );
  if (!stopped) lines.push(...NEXT);
  return `${lines.join("\n")}\n`;
}

function trackers({ output }: RunConfig, folder: string): string {
  const tracked = { events: joinPath(folder, TENSORBOARD_FOLDER), name: baseName(folder) };
  return trackerCommands(output.report_to, tracked)
    .map((command) => `${command}\n`)
    .join("");
}

function summaryOf(config: RunConfig, result: TrainResult, runDir: string): RunSummary {
  const { steps, before, after, controls } = result;
  const seconds = Number(result.seconds.toFixed(2));
  const summary: RunSummary = { seed: config.train.seed, steps, seconds, before, after, runDir };
  if (Object.keys(controls).length > 0) summary.controls = controls;
  if (result.stopped) summary.stopped = true;
  return summary;
}

/**
 * Runs the `train` command: reads what the user typed, trains in a run folder, prints.
 *
 * @param argv - what the user typed after `train.js`.
 * @param withAdapter - finds an adapter for it.
 * @returns the exit code 0, also after a stop by Ctrl-C; errors are raised.
 */
export async function trainCommand(
  argv: string[],
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const info = {
    name: "train" as const,
    summary: "Trains an audio-visual language model as a configuration says.",
    resumable: true,
    version: ownVersion(),
  };
  const options = parseRunOptions(info, argv, (text) => process.stdout.write(text));
  if (options === undefined) return 0;
  const config = await loadConfig(options.config, { readText, overrides: options.overrides });
  if (options.printConfig) {
    process.stdout.write(resolvedYaml(config));
    return 0;
  }
  return await withAdapter(() => trainAndPrint(config, options, argv));
}

async function trainAndPrint(
  config: RunConfig,
  options: RunCommandOptions,
  argv: readonly string[],
): Promise<number> {
  const { folder, checkpoint, passedOver } = await chooseRun(config, options);
  const stream = options.json ? process.stderr : process.stdout;
  const line = terminalLine(stream);
  const onEvent: Listener = (event) => {
    if (event.kind === "folder") stream.write(plan(config, folder, event.data.step));
    line.listen(event);
  };
  const interrupt = listenForInterrupt(() =>
    line.print("stopping after this step, with a checkpoint; Ctrl-C again stops at once"),
  );
  const command = ["node", "train.js", ...argv].map(shellWord).join(" ");
  try {
    for (const { folder: newer, reason } of passedOver) {
      const message = `${newer} was passed over: ${reason}.`;
      line.listen({ kind: "warning", data: { code: "run-passed-over", message } });
    }
    const result = await train(config, {
      ...{ runFolder: folder, resume: checkpoint ?? options.resume, command, onEvent },
      signal: interrupt.stop,
    });
    stream.write(closing(result, folder));
    if (!result.stopped) stream.write(trackers(config, folder));
    if (options.json) {
      process.stdout.write(`${JSON.stringify(summaryOf(config, result, folder))}\n`);
    }
    return 0;
  } finally {
    interrupt.release();
    line.end();
  }
}

/** The `train` command: `node train.js CONFIG [key=value ...]`. */
export const main: CommandModule["main"] = (argv, withAdapter) => trainCommand(argv, withAdapter);
