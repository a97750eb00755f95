import { dirname, posix, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { train as trainRun } from "../../run/train.ts";
import { exists, readText, removeEmptyFolder } from "#io";
import { checkResumable, scheduleChange } from "../../config/compare.ts";
import { checkSource, loadConfig, resolvedYaml } from "../../config/load.ts";
import type { RunConfig } from "../../config/schema.ts";
import { parseSource } from "../../config/source.ts";
import { ConfigError } from "../../core/errors.ts";
import { Events } from "../../core/events.ts";
import { type Evaluations, report, type RunEvents } from "../../core/run-events.ts";
import { baseName, joinPath } from "../../io/path.ts";
import { clockText, scoresText } from "../../observe/console-line.ts";
import { HealthMonitor } from "../../observe/health/monitor.ts";
import { filesIn, logsIn } from "../../observe/node.ts";
import { LOG_FILES, RunLogs, TENSORBOARD_FOLDER } from "../../observe/run-logs.ts";
import { trackerCommands } from "../../observe/trackers.ts";
import {
  findCheckpoint,
  hasCheckpoint,
  scoredBy,
  setAsideAfter,
  tidyCheckpoints,
} from "../../run/checkpoint-folder.ts";
import { type FoundRun, lastRun, refuseToBeginAgain, runAt } from "../../run/find-run.ts";
import {
  nextRunFolder,
  prepareRunFolder,
  removeFailedStart,
  readRunFacts,
  RUN_FILES,
  type RunFacts,
  writeRunFacts,
} from "../../run/folder.ts";
import type { TrainOptions, TrainResult } from "../../run/run-interface.ts";
import { parseState, STATE_FILE } from "../../run/state.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { type Held, withLock } from "../lock.ts";
import { parseRunOptions, type RunOptions } from "../options.ts";
import { type CommandModule, inThisProcess, type WithAdapter } from "../run-command.ts";
import { runSummary, writeRunReport } from "../run-report.ts";
import { terminalLine } from "../terminal.ts";
import { ownVersion, programChange, programVersions, sourceCommit } from "../versions.ts";

/** Runs a checked configuration; `src/run/train.ts` has the real one, tests a stand-in. */
export type TrainEngine = (config: RunConfig, options: TrainOptions) => Promise<TrainResult>;

const RUNS = "runs";

/** The name of a configuration's runs; a run's own record has that of the run. */
function runName(configPath: string): string {
  const own = /([^\\/]+)-\d{3,}[\\/]config\.yaml$/.exec(configPath)?.[1];
  return own ?? baseName(configPath).replace(/\.(ya?ml|json)$/, "");
}

/** A word of a command as a POSIX shell takes it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The run whose own record a configuration is; undefined for any other configuration. */
async function runOf(configPath: string): Promise<string | undefined> {
  if (baseName(configPath) !== RUN_FILES.config) return undefined;
  const folder = dirname(configPath);
  return (await exists(joinPath(folder, RUN_FILES.facts))) ? folder : undefined;
}

async function chooseRun(config: RunConfig, options: RunOptions): Promise<FoundRun> {
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

/** Where a run goes on from; undefined for one that was cut off before its first checkpoint. */
async function findResume(
  { folder, checkpoint }: FoundRun,
  config: RunConfig,
  configFile: string,
  events: Events,
): Promise<TrainOptions["resume"]> {
  const warn = (code: string, message: string) => report(events, "warning", { code, message });
  const file = joinPath(folder, RUN_FILES.config);
  const before = checkSource(parseSource(await readText(file), file), file);
  checkResumable(comparable(before, file), comparable(config, configFile), folder);
  const keeping = { last: config.output.keep_last, by: scoredBy(config.output) };
  if (!(await hasCheckpoint(folder))) {
    await refuseToBeginAgain(folder);
    const message = "The run had no checkpoint yet: it starts again from the beginning.";
    warn("no-checkpoint-yet", message);
    await tidyCheckpoints(folder, undefined, keeping);
    return undefined;
  }
  const found = await findCheckpoint(folder, checkpoint);
  for (const { folder: path, reason } of found.passedOver) {
    warn("checkpoint-passed-over", `${path} was passed over: ${reason}.`);
  }
  const message = scheduleChange(before, config);
  if (message !== undefined) warn("other-schedule", message);
  const path = joinPath(found.folder, STATE_FILE);
  const state = parseState(await readText(path), path);
  const later = checkpoint === undefined ? [] : await setAsideAfter(folder, found.step);
  for (const aside of later) warn("checkpoint-set-aside", `${aside} is of later steps: set aside.`);
  await tidyCheckpoints(folder, found.step, keeping);
  return { folder: found.folder, state };
}

/** A configuration whose own modules are named by `name`, given the file's own URL. */
function withModules(config: RunConfig, file: string, name: (url: URL) => string): RunConfig {
  const base = pathToFileURL(file);
  const named = <Section extends object>(section: Section): Section => {
    if (!("module" in section) || typeof section.module !== "string") return section;
    return { ...section, module: name(new URL(section.module, base)) };
  };
  const { rewards, data, eval: asked } = config;
  const benchmarks = Array.isArray(asked) ? asked.map(named) : asked && named(asked);
  return { ...config, rewards: rewards.map(named), data: named(data), eval: benchmarks };
}

/** Modules by their URLs: the same in the configuration and in the run's record of it. */
function comparable(config: RunConfig, file: string): RunConfig {
  return withModules(config, file, (url) => url.href);
}

/** The record of a run's configuration: its modules are named from the run's folder. */
function recordOf(config: RunConfig, file: string, folder: string): string {
  const from = pathToFileURL(resolve(folder)).pathname;
  const named = withModules(config, file, (url) =>
    url.protocol === "file:" ? posix.relative(from, url.pathname) : url.href,
  );
  return resolvedYaml(named);
}

/** A number with its unit, in the singular where it is one. */
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

/** What a user may want after a first run. */
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

/**
 * The `train` command: configuration, run folder, logs, the run, and what it leaves behind.
 *
 * @param argv - what the user typed after `train.js`.
 * @param engine - does the training.
 * @param withAdapter - finds an adapter for it.
 * @returns the exit code 0, also after a stop by Ctrl-C; errors are raised.
 */
export async function trainCommand(
  argv: string[],
  engine: TrainEngine,
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
  return await withAdapter(() => trainIn({ config, options, argv, engine }));
}

async function trainIn(start: Start): Promise<number> {
  const { config, options } = start;
  const run = await chooseRun(config, options);
  const { folder } = run;
  const work = async (held: Held) => {
    try {
      return await runIn(run, held, start);
    } catch (error) {
      if (!options.resume) await removeFailedStart(folder);
      throw error;
    }
  };
  try {
    await prepareRunFolder(folder, options.resume);
    return await withLock(joinPath(folder, RUN_FILES.lock), work, {
      onWait(holder) {
        throw new ConfigError(
          "run-folder-busy",
          `Another process is running in ${folder}: ${holder}.`,
          {
            hint: "Wait for its end, stop it with Ctrl-C, or choose another output.run_dir.",
          },
        );
      },
    });
  } finally {
    if (!options.resume) await removeEmptyFolder(folder);
  }
}

/** What a run is started with. */
interface Start {
  config: RunConfig;
  options: RunOptions;
  argv: string[];
  engine: TrainEngine;
}

/** Runs in a folder that no other process runs in. */
async function runIn(
  run: FoundRun,
  held: Held,
  { config, options, argv, engine }: Start,
): Promise<number> {
  const { folder } = run;
  const stream = options.json ? process.stderr : process.stdout;
  const line = terminalLine(stream);
  const early = new Events();
  early.listen(line.listen);
  const before = options.resume ? await readRunFacts(folder) : undefined;
  const warn = (code: string, message: string) => report(early, "warning", { code, message });
  for (const { folder: newer, reason } of run.passedOver) {
    warn("run-passed-over", `${newer} was passed over: ${reason}.`);
  }
  const resume = options.resume ? await findResume(run, config, options.config, early) : undefined;
  stream.write(plan(config, folder, resume?.state.step ?? 0));

  const facts: RunFacts = {
    // Who repeats the run starts it, however often this one was resumed.
    command: before?.command ?? ["node", "train.js", ...argv].map(shellWord).join(" "),
    versions: programVersions(),
    commit: sourceCommit(),
    seed: config.train.seed,
    device: {},
  };
  const change = before && resume && programChange(before, facts);
  if (change !== undefined) report(early, "warning", { code: "other-program", message: change });
  await writeRunFacts(folder, recordOf(config, options.config, folder), facts);
  const events = new Events();
  const { task, train, output } = config;
  const health = new HealthMonitor({
    rules: config.health,
    facts: {
      ...{
        task,
        beta: train.beta,
        updatesPerRollout:
          train.num_iterations * Math.min(train.num_minibatches, train.prompts_per_step),
      },
      promptsPerStep: train.prompts_per_step,
      maskTruncated: train.mask_truncated_completions,
    },
    events,
    checkpoint: resume?.folder,
    write: filesIn(folder),
  });
  const logs = new RunLogs({
    open: logsIn(folder),
    rollouts: output.rollouts,
    tensorboard: output.tensorboard,
    trace: output.trace,
    aliases: output.metric_aliases,
    ...(output.completions && { completions: filesIn(folder) }),
    watcher: health,
    guard: () => held.check(),
    onMissing: (name, bytes) =>
      warn(
        "log-missing",
        `${joinPath(folder, name)} lacks ${bytes} bytes that it had at the checkpoint: what they told of the steps so far is missing, and the file goes on from here.`,
      ),
    loggingSteps: train.logging_steps,
    now: () => Date.now() / 1000,
    ...(options.resume && { resumeAt: resume?.state.logs ?? { bytes: {}, pending: {} } }),
  });
  if (resume) {
    const [metrics, happened] = [LOG_FILES.metrics, LOG_FILES.events];
    health.restore(
      await readText(joinPath(folder, metrics)),
      await readText(joinPath(folder, happened)),
    );
  }
  events.listen(logs.listen);
  events.listen(line.listen);
  let written = Promise.resolve();
  events.listen(({ kind, data }) => {
    if (kind === "data") facts.data = data as RunEvents["data"];
    if (kind !== "device") return;
    facts.device = data as RunEvents["device"];
    // run.json is a record, not a part of the run: a failure shows when the run's own files fail.
    written = writeRunFacts(folder, recordOf(config, options.config, folder), facts).catch(
      () => {},
    );
  });
  const interrupt = listenForInterrupt(() =>
    line.print("stopping after this step, with a checkpoint; Ctrl-C again stops at once"),
  );
  try {
    const configUrl = pathToFileURL(options.config).href;
    const shared = { events, stop: interrupt.stop, runFolder: folder, logs, configUrl };
    const result = await engine(config, resume ? { ...shared, resume } : shared);
    logs.check();
    await writeRunReport(folder, config, facts, result, (lines) =>
      warn(
        "torn-lines",
        `${joinPath(folder, LOG_FILES.metrics)} has ${lines} lines that cannot be read; the curve lacks them.`,
      ),
    );
    stream.write(closing(result, folder));
    if (!result.stopped) {
      const tracked = { events: joinPath(folder, TENSORBOARD_FOLDER), name: baseName(folder) };
      for (const command of trackerCommands(output.report_to, tracked)) {
        stream.write(`${command}\n`);
      }
    }
    if (options.json)
      process.stdout.write(`${JSON.stringify(runSummary(config, result, folder))}\n`);
    return 0;
  } finally {
    interrupt.release();
    line.end();
    logs.close();
    await written;
  }
}

/** The `train` command: `node train.js CONFIG [key=value ...]`. */
export const main: CommandModule["main"] = (argv, withAdapter) =>
  trainCommand(argv, trainRun, withAdapter);
