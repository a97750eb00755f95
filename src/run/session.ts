import { removeEmptyFolder } from "#io";
import { type Held, withLock } from "#lock";
import { programVersions, sourceCommit } from "#run";
import { resolvedYaml } from "../config/load.ts";
import type { RunConfig } from "../config/schema.ts";
import { ConfigError } from "../core/errors.ts";
import { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import { joinPath } from "../io/path.ts";
import { LOG_FILES } from "../observe/run-logs.ts";
import {
  prepareRunFolder,
  readRunFacts,
  removeFailedStart,
  RUN_FILES,
  type RunFacts,
  writeRunFacts,
} from "./folder.ts";
import { folderLogs, type LogbookOptions, openLogbook } from "./logbook.ts";
import type { Session, TrainOptions, TrainResult } from "./options.ts";
import { type CardReward, writeRunReport } from "./report.ts";
import { findResume, programChange } from "./resume.ts";

/** Options of a session. */
export type SessionOptions = Pick<
  TrainOptions,
  "onEvent" | "signal" | "runFolder" | "resume" | "logs" | "watcher" | "command"
> & {
  /** The run's rewards, for its card. */
  rewards?: readonly CardReward[];
};

/** Trains in a session; the caller's part of {@link withSession}. */
export type SessionWork = (session: Session) => Promise<TrainResult>;

/**
 * Trains with everything around it: in a run folder that is this process's alone, with its record,
 * logs, health, and at the end its curve and card; without a folder with health alone.
 *
 * @param work does the training.
 * @throws {ConfigError} `run-folder-used`, `run-folder-busy`, `run-folder-unwritable`,
 *   `resume-changed`, `resume-nowhere`; {CheckpointError} `no-run`, `no-checkpoint`; those of `work`.
 */
export async function withSession(
  config: RunConfig,
  options: SessionOptions,
  work: SessionWork,
): Promise<TrainResult> {
  const { runFolder, resume = false } = options;
  if (runFolder === undefined) {
    const nowhere = { store: options.logs, resume: undefined };
    if (resume === false) return runLogged(config, options, nowhere, work);
    throw new ConfigError("resume-nowhere", "A run without a folder cannot be resumed.", {
      hint: "Give the run's folder as runFolder.",
    });
  }
  const isNew = resume === false;
  const inFolder = async (held: Held) => {
    try {
      return await runInFolder(config, options, { folder: runFolder, held }, work);
    } catch (error) {
      if (isNew) await removeFailedStart(runFolder);
      throw error;
    }
  };
  try {
    await prepareRunFolder(runFolder, !isNew);
    return await withLock(joinPath(runFolder, RUN_FILES.lock), inFolder, {
      onWait(holder) {
        const message = `Another process is running in ${runFolder}: ${holder}.`;
        throw new ConfigError("run-folder-busy", message, {
          hint: "Wait for its end, stop it with Ctrl-C, or choose another output.run_dir.",
        });
      },
    });
  } finally {
    if (isNew) await removeEmptyFolder(runFolder);
  }
}

/** A run folder and the lock on it. */
interface Place {
  folder: string;
  held: Held;
}

async function runInFolder(
  config: RunConfig,
  options: SessionOptions,
  { folder, held }: Place,
  work: SessionWork,
): Promise<TrainResult> {
  // Messages about the resume itself are not logged: logs are those of a run never stopped.
  const early = new Events();
  if (options.onEvent !== undefined) early.listen(options.onEvent);
  const warn = (code: string, message: string) => report(early, "warning", { code, message });
  const { resume: wanted = false } = options;
  const before = wanted === false ? undefined : await readRunFacts(folder);
  const checkpoint = typeof wanted === "string" ? wanted : undefined;
  const resume =
    wanted === false ? undefined : await findResume(config, { folder, checkpoint, warn });
  report(early, "folder", { folder, step: resume?.state.step ?? 0 });
  const facts: RunFacts = {
    // The command that repeats the run is the one that started it, however often it was resumed.
    command: before?.command ?? options.command ?? null,
    versions: programVersions(),
    commit: sourceCommit(),
    seed: config.train.seed,
    device: {},
  };
  const change = before && resume && programChange(before, facts);
  if (change !== undefined) warn("other-program", change);
  const record = resolvedYaml(config);
  await writeRunFacts(folder, record, facts);
  let written = Promise.resolve();
  const onEvent: SessionOptions["onEvent"] = (event) => {
    options.onEvent?.(event);
    if (event.kind === "data") facts.data = event.data;
    if (event.kind !== "device") return;
    facts.device = event.data;
    // run.json is a record, not a part of the run: a failure shows when the run's own files fail.
    written = writeRunFacts(folder, record, facts).catch(() => {});
  };
  const keeping: Keeping = {
    store: options.logs ?? folderLogs(folder),
    guard: () => held.check(),
    onMissing: (name, bytes) =>
      warn(
        "log-missing",
        `${joinPath(folder, name)} lacks ${bytes} bytes that it had at the checkpoint: what they told of the steps so far is missing, and the file goes on from here.`,
      ),
  };
  try {
    const result = await runLogged(config, { ...options, onEvent }, { ...keeping, resume }, work);
    await writeRunReport(folder, {
      ...{ config, facts, result, rewards: options.rewards ?? [] },
      onTorn: (lines) =>
        warn(
          "torn-lines",
          `${joinPath(folder, LOG_FILES.metrics)} has ${lines} lines that cannot be read; the curve lacks them.`,
        ),
    });
    return result;
  } finally {
    await written;
  }
}

/** How the logs of a session are kept. */
type Keeping = Pick<LogbookOptions, "store" | "guard" | "onMissing">;

async function runLogged(
  config: RunConfig,
  options: SessionOptions,
  { resume, ...keeping }: Keeping & Pick<Session, "resume">,
  work: SessionWork,
): Promise<TrainResult> {
  const events = new Events();
  const nothing = { bytes: {}, pending: {} };
  const isNew = (options.resume ?? false) === false;
  const logs = await openLogbook(config, {
    ...{ ...keeping, watcher: options.watcher, events },
    resumeAt: isNew ? undefined : (resume?.state.logs ?? nothing),
    checkpoint: resume?.folder,
  });
  events.listen(logs.listen);
  if (options.onEvent !== undefined) events.listen(options.onEvent);
  const stop = options.signal ?? new AbortController().signal;
  try {
    const result = await work({ config, events, stop, logs, runFolder: options.runFolder, resume });
    logs.check();
    return result;
  } finally {
    logs.close();
  }
}
