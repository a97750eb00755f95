import { dirname } from "node:path";
import { exists, readText } from "#io";
import { loadConfig, resolvedYaml } from "../../config/load.ts";
import { loadStages, type Stage } from "../../config/stages.ts";
import type { RunConfig } from "../../config/schema.ts";
import { CheckpointError } from "../../core/errors.ts";
import type { Listener } from "../../core/events.ts";
import type { Evaluations } from "../../core/run-events.ts";
import { baseName, joinPath } from "../../io/path.ts";
import { exportFolder } from "../../model/export-folder.ts";
import { clockText, scoresText } from "../../observe/console-line.ts";
import { TENSORBOARD_FOLDER } from "../../observe/run-logs.ts";
import { trackerCommands } from "../../observe/trackers.ts";
import { type FoundRun, lastRun, runAt } from "../../run/find-run.ts";
import { nextRunFolder, RUN_FILES, runFolders } from "../../run/folder.ts";
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
  const { train, model } = config;
  const { max_steps: steps, num_train_epochs: epochs } = train;
  const length = steps === null ? counted(epochs, "epoch") : counted(steps, "step");
  const grpo = `${length} x ${train.prompts_per_step} prompts x ${train.num_generations} completions`;
  const supervised = `${length} x ${train.prompts_per_step} rows`;
  const what = config.task === "grpo" ? `GRPO, ${grpo}` : `supervised, ${supervised}`;
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
  const how = { readText, overrides: options.overrides };
  const stages = await loadStages(options.config, how);
  const config = stages === undefined ? await loadConfig(options.config, how) : undefined;
  if (options.printConfig) {
    const configs = config === undefined ? stages!.map((stage) => stage.config) : [config];
    process.stdout.write(configs.map(resolvedYaml).join("---\n"));
    return 0;
  }
  return await withAdapter(async () => {
    const summary =
      config === undefined
        ? await trainStages(stages!, options, argv)
        : await trainAndPrint(config, await chooseRun(config, options), options, argv);
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  });
}

/**
 * Runs the stages of a recipe, each in a folder of its name inside of the recipe's; a stage that goes
 * on with the model of the one before it gets that one's `model/`. When it is resumed, stages that are
 * done stay as they are.
 */
async function trainStages(
  stages: readonly Stage[],
  options: RunCommandOptions,
  argv: readonly string[],
): Promise<Record<string, RunSummary>> {
  const stream = options.json ? process.stderr : process.stdout;
  const root = await recipeFolder(stages[0]!.config, options);
  const summaries: Record<string, RunSummary> = {};
  for (const [at, { name, config, continues }] of stages.entries()) {
    const folder = joinPath(root, name);
    if (options.resume && (await exists(joinPath(folder, RUN_FILES.card)))) {
      stream.write(`${folder} is done\n`);
      continue;
    }
    const resume = options.resume && (await exists(joinPath(folder, RUN_FILES.config)));
    const run = { folder, passedOver: [] };
    const before = continues ? stages[at - 1]! : undefined;
    const path = before && (await modelLeft(joinPath(root, before.name), before.config));
    const model = {
      ...config.model,
      ...(path !== undefined && { path, init: "weights" as const }),
    };
    const summary = await trainAndPrint({ ...config, model }, run, { ...options, resume }, argv);
    summaries[name] = summary;
    if (summary.stopped === true) break;
  }
  return summaries;
}

/** Returns the whole model that a stage left in its folder: adapters are merged into their base. */
async function modelLeft(folder: string, { train, output }: RunConfig): Promise<string> {
  const source = joinPath(folder, RUN_FILES.model);
  if (train.lora === null) return source;
  const out = joinPath(folder, "merged");
  if (!(await exists(joinPath(out, "config.json")))) {
    const dtype = output.export_dtype ?? "f32";
    await exportFolder({ source, out, dtype, merge: true, overwrite: true });
  }
  return out;
}

/** Chooses the folder of a recipe, which holds a run folder for each of its stages. */
async function recipeFolder(first: RunConfig, options: RunCommandOptions): Promise<string> {
  const { resume, resumePath } = options;
  const name = runName(options.config);
  if (resumePath !== undefined) return resumePath;
  if (first.output.run_dir !== null) return first.output.run_dir;
  if (!resume) return nextRunFolder(RUNS, name);
  const [newest] = await runFolders(RUNS, name);
  if (newest !== undefined) return newest;
  throw new CheckpointError("no-run", `There is no run ${name} in ${RUNS} to resume.`, {
    hint: "Name its folder with --resume PATH, or start without --resume.",
  });
}

async function trainAndPrint(
  config: RunConfig,
  { folder, checkpoint, passedOver }: FoundRun,
  options: RunCommandOptions,
  argv: readonly string[],
): Promise<RunSummary> {
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
    return summaryOf(config, result, folder);
  } finally {
    interrupt.release();
    line.end();
  }
}

/** The `train` command: `node train.js CONFIG [key=value ...]`. */
export const main: CommandModule["main"] = (argv, withAdapter) => trainCommand(argv, withAdapter);
