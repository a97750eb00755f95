import { pathToFileURL } from "node:url";
import { train as trainRun } from "../../run/train.ts";
import { readText } from "#io";
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
  tidyCheckpoints,
} from "../../run/checkpoint-folder.ts";
import {
  lastRunFolder,
  nextRunFolder,
  prepareRunFolder,
  readRunFacts,
  RUN_FILES,
  type RunFacts,
  writeRunFacts,
} from "../../run/folder.ts";
import type { TrainOptions, TrainResult } from "../../run/run-interface.ts";
import { parseState, STATE_FILE } from "../../run/state.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { withLock } from "../lock.ts";
import { parseRunOptions, type RunOptions } from "../options.ts";
import { type CommandModule, inThisProcess, type WithAdapter } from "../run-command.ts";
import { runSummary, writeRunReport } from "../run-report.ts";
import { terminalLine } from "../terminal.ts";
import { ownVersion, programChange, programVersions, sourceCommit } from "../versions.ts";

/** Runs a checked configuration; `src/run/train.ts` has the real one, tests a stand-in. */
export type TrainEngine = (config: RunConfig, options: TrainOptions) => Promise<TrainResult>;

const RUNS = "runs";
/** A run that has not touched its lock for so long is no more; a step may keep it from that. */
const STALE_MS = 60_000;

function runName(configPath: string): string {
  return baseName(configPath).replace(/\.ya?ml$/, "");
}

/** A word of a command as a POSIX shell takes it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

async function chooseFolder(config: RunConfig, options: RunOptions): Promise<string> {
  if (config.output.run_dir !== null) return config.output.run_dir;
  const name = runName(options.config);
  return options.resume ? lastRunFolder(RUNS, name) : nextRunFolder(RUNS, name);
}

/** Where a run goes on from; undefined for one that was cut off before its first checkpoint. */
async function findResume(
  folder: string,
  config: RunConfig,
  events: Events,
): Promise<TrainOptions["resume"]> {
  const file = joinPath(folder, RUN_FILES.config);
  const before = checkSource(parseSource(await readText(file), file), file);
  checkResumable(before, config, folder);
  const keeping = { last: config.output.keep_last, by: scoredBy(config.output) };
  if (!(await hasCheckpoint(folder))) {
    const message = "The run had no checkpoint yet: it starts again from the beginning.";
    report(events, "warning", { code: "no-checkpoint-yet", message });
    await tidyCheckpoints(folder, undefined, keeping);
    return undefined;
  }
  const found = await findCheckpoint(folder);
  for (const { folder: path, reason } of found.passedOver) {
    const message = `${path} was passed over: ${reason}.`;
    report(events, "warning", { code: "checkpoint-passed-over", message });
  }
  const message = scheduleChange(before, config);
  if (message !== undefined) report(events, "warning", { code: "other-schedule", message });
  const path = joinPath(found.folder, STATE_FILE);
  const state = parseState(await readText(path), path);
  await tidyCheckpoints(folder, found.step, keeping);
  return { folder: found.folder, state };
}

function plan(config: RunConfig, folder: string, from: number): string {
  const { train, sft, model } = config;
  const grpo = `${train.max_steps} steps x ${train.prompts_per_step} prompts x ${train.num_generations} completions`;
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
  const { before, after, steps, seconds, stopped } = result;
  const lines = [`${stopped ? "stopped" : "done"} after ${steps} steps in ${clockText(seconds)}`];
  lines.push(...scoreLines("before", before), ...scoreLines("after", after));
  lines.push(stopped ? `${folder}: continue with --resume` : `${folder}: README.md, curve.svg`);
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
  const folder = await chooseFolder(config, options);
  await prepareRunFolder(folder, options.resume);
  const work = () => runIn(folder, start);
  return await withLock(joinPath(folder, RUN_FILES.lock), work, {
    staleMs: STALE_MS,
    onWait() {
      throw new ConfigError("run-folder-busy", `Another process is running in ${folder}.`, {
        hint: "Wait for its end, stop it with Ctrl-C, or choose another output.run_dir. The lock of one that died on another machine is void after a minute.",
      });
    },
  });
}

/** What a run is started with. */
interface Start {
  config: RunConfig;
  options: RunOptions;
  argv: string[];
  engine: TrainEngine;
}

/** Runs in a folder that no other process runs in. */
async function runIn(folder: string, { config, options, argv, engine }: Start): Promise<number> {
  const stream = options.json ? process.stderr : process.stdout;
  const line = terminalLine(stream);
  const early = new Events();
  early.listen(line.listen);
  const before = options.resume ? await readRunFacts(folder) : undefined;
  const resume = options.resume ? await findResume(folder, config, early) : undefined;
  stream.write(plan(config, folder, resume?.state.step ?? 0));

  const facts: RunFacts = {
    // Who repeats the run starts it, however often this one was resumed.
    command: ["node", "train.js", ...argv.filter((word) => word !== "--resume")]
      .map(shellWord)
      .join(" "),
    versions: programVersions(),
    commit: sourceCommit(),
    seed: config.train.seed,
    device: {},
  };
  const change = before && resume && programChange(before, facts);
  if (change !== undefined) report(early, "warning", { code: "other-program", message: change });
  await writeRunFacts(folder, resolvedYaml(config), facts);
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
    written = writeRunFacts(folder, resolvedYaml(config), facts).catch(() => {});
  });
  const interrupt = listenForInterrupt(() =>
    line.print("stopping after this step, with a checkpoint; Ctrl-C again stops at once"),
  );
  try {
    const configUrl = pathToFileURL(options.config).href;
    const shared = { events, stop: interrupt.stop, runFolder: folder, logs, configUrl };
    const result = await engine(config, resume ? { ...shared, resume } : shared);
    logs.check();
    await writeRunReport(folder, config, facts, result);
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
