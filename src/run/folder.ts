import type { RunEvents } from "../core/run-events.ts";
import {
  appendLine,
  exists,
  listFolder,
  makeFolder,
  readText,
  removePath,
  writeFileAtomic,
} from "#io";
import { AubadeError, CheckpointError, ConfigError } from "../core/errors.ts";
import { joinPath } from "../io/path.ts";

/** Names of what a run folder holds besides logs and checkpoints; its README explains them. */
export const RUN_FILES = {
  /** There while a process runs in the folder. */
  lock: ".lock",
  config: "config.yaml",
  facts: "run.json",
  curve: "curve.svg",
  card: "README.md",
  model: "model",
} as const;

/** What is known of a run before its first step, for run.json: no times, no machine paths. */
export interface RunFacts {
  /** The command that starts the run, as the user typed it after `node`. */
  command: string;
  /** Versions by program: aubade, node, webgpu. */
  versions: Record<string, string>;
  /** Commit of the program's sources, where they are a git checkout. */
  commit: string | null;
  seed: number;
  /** The rows that it trains on, once they are read. */
  data?: RunEvents["data"];
  /** The adapter as it names itself, its driver, its tier. */
  device: Record<string, string>;
}

/** The next unused `root/NAME-NUMBER`, numbered from 001. */
export async function nextRunFolder(root: string, name: string): Promise<string> {
  const last = await lastNumber(root, name);
  return joinPath(root, `${name}-${String(last + 1).padStart(3, "0")}`);
}

/**
 * The newest `root/NAME-NUMBER`, for resuming a run whose folder was not named.
 *
 * @throws {CheckpointError} `no-run` when there is none.
 */
export async function lastRunFolder(root: string, name: string): Promise<string> {
  const last = await lastNumber(root, name);
  if (last > 0) return joinPath(root, `${name}-${String(last).padStart(3, "0")}`);
  throw new CheckpointError("no-run", `There is no run ${name} in ${root} to resume.`, {
    hint: "Name its folder with output.run_dir=..., or start without --resume.",
  });
}

async function lastNumber(root: string, name: string): Promise<number> {
  if (!(await exists(root))) return 0;
  let last = 0;
  for (const entry of await listFolder(root)) {
    const number = entry.startsWith(`${name}-`) ? entry.slice(name.length + 1) : "";
    if (/^\d+$/.test(number)) last = Math.max(last, Number(number));
  }
  return last;
}

/**
 * Makes a run folder and proves that it can be written, before any work is done.
 *
 * @param folder - the run folder.
 * @param resume - whether a run in it is to be continued; without it a used folder is refused.
 * @throws {ConfigError} `run-folder-unwritable`, `run-folder-used`.
 * @throws {CheckpointError} `no-run` when there is nothing to resume.
 */
export async function prepareRunFolder(folder: string, resume: boolean): Promise<void> {
  const trial = joinPath(folder, ".write-test");
  const used = await exists(joinPath(folder, RUN_FILES.config));
  if (resume && !used) {
    throw new CheckpointError("no-run", `${folder} holds no run to resume.`, {
      hint: "Name the run's folder with output.run_dir=..., or start without --resume.",
    });
  }
  try {
    await makeFolder(folder);
    await removePath(trial);
    await appendLine(trial, "This file proves that the run folder can be written.");
    await removePath(trial);
  } catch (cause) {
    const why = cause instanceof AubadeError ? ` ${cause.message}` : "";
    throw new ConfigError(
      "run-folder-unwritable",
      `The run folder ${folder} cannot be written.${why}`,
      {
        hint: "Nothing was started; set output.run_dir to a folder that can be written.",
        cause,
      },
    );
  }
  if (!resume && used) {
    throw new ConfigError("run-folder-used", `The run folder ${folder} already holds a run.`, {
      hint: "Continue it with --resume, or choose another output.run_dir.",
    });
  }
}

/** Writes the resolved configuration and the facts of a run into its folder. */
export async function writeRunFacts(
  folder: string,
  configYaml: string,
  facts: RunFacts,
): Promise<void> {
  await writeFileAtomic(joinPath(folder, RUN_FILES.config), configYaml);
  const text = `${JSON.stringify(facts, null, 2)}\n`;
  await writeFileAtomic(joinPath(folder, RUN_FILES.facts), text);
}

/** The facts that a run left at its last start; undefined where they cannot be read. */
export async function readRunFacts(folder: string): Promise<RunFacts | undefined> {
  try {
    return JSON.parse(await readText(joinPath(folder, RUN_FILES.facts))) as RunFacts;
  } catch {
    return undefined;
  }
}
