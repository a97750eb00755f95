import type { RunEvents } from "../core/run-events.ts";
import {
  appendLine,
  claimFolder,
  exists,
  fileSize,
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

/**
 * The facts of a run that are known before its first step, for run.json: no times, no machine
 * paths.
 */
export interface RunFacts {
  /** The command that starts the run, as the user typed it; null for one that a program starts. */
  command: string | null;
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

/**
 * Makes and returns the next unused `root/NAME-NUMBER`, numbered from 001; of several starts each
 * gets one of its own.
 *
 * @throws {ConfigError} `run-folder-unwritable`.
 */
export async function nextRunFolder(root: string, name: string): Promise<string> {
  try {
    await makeFolder(root);
    for (let number = 1 + (await numbers(root, name))[0]!; ; number++) {
      const folder = numbered(root, name, number);
      if (await claimFolder(folder)) return folder;
    }
  } catch (cause) {
    throw unwritable(root, cause);
  }
}

/** Returns all `root/NAME-NUMBER`, the newest first. */
export async function runFolders(root: string, name: string): Promise<string[]> {
  const found = await numbers(root, name);
  return found.slice(0, -1).map((number) => numbered(root, name, number));
}

function numbered(root: string, name: string, number: number): string {
  return joinPath(root, `${name}-${String(number).padStart(3, "0")}`);
}

/** Returns the numbers of a name's folders, the largest first, and 0. */
async function numbers(root: string, name: string): Promise<number[]> {
  const entries = (await exists(root)) ? await listFolder(root) : [];
  const found = entries.flatMap((entry) => {
    const digits = entry.startsWith(`${name}-`) ? entry.slice(name.length + 1) : "";
    return /^\d{3,}$/.test(digits) ? [Number(digits)] : [];
  });
  return [...new Set(found)].sort((a, b) => b - a).concat(0);
}

/** Lists what counts when a folder must be empty: names that begin with a dot do not. */
async function contents(folder: string): Promise<string[]> {
  if (!(await exists(folder))) return [];
  return (await listFolder(folder)).filter((name) => !name.startsWith("."));
}

function unwritable(folder: string, cause: unknown): ConfigError {
  const why = cause instanceof AubadeError ? ` ${cause.message}` : "";
  return new ConfigError(
    "run-folder-unwritable",
    `The run folder ${folder} cannot be written.${why}`,
    { hint: "Nothing was started; set output.run_dir to a folder that can be written.", cause },
  );
}

/**
 * Makes a run folder and proves that it can be written, before any work is done.
 *
 * @param folder - the run folder.
 * @param resume - whether a run in it is to be continued; without it a used folder is refused.
 * @throws {ConfigError} `run-folder-unwritable`, `run-folder-used`, `run-folder-not-empty`.
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
    throw unwritable(folder, cause);
  }
  if (!resume) await refuseUsed(folder, used);
}

async function refuseUsed(folder: string, used: boolean): Promise<void> {
  if (used) {
    throw new ConfigError("run-folder-used", `The run folder ${folder} already holds a run.`, {
      hint: "Continue it with --resume, or choose another output.run_dir.",
    });
  }
  const [first, ...others] = await contents(folder);
  if (first === undefined) return;
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  throw new ConfigError(
    "run-folder-not-empty",
    `The run folder ${folder} holds other files: ${first}${more}.`,
    { hint: "Choose an empty or a new folder as output.run_dir." },
  );
}

/** Tells whether a start left more than its record: a checkpoint, a model, or a row of a log. */
async function cameToSomething(folder: string): Promise<boolean> {
  for (const name of await contents(folder)) {
    if (name.startsWith("checkpoint-") || name === RUN_FILES.model) return true;
    const isLog = name.endsWith(".jsonl") && name !== "events.jsonl";
    if (isLog && (await fileSize(joinPath(folder, name))) > 0) return true;
  }
  return false;
}

/**
 * Removes what a new start wrote into its folder when it failed before anything was computed, so
 * that the folder stands in nobody's way; anything else stays.
 */
export async function removeFailedStart(folder: string): Promise<void> {
  if (await cameToSomething(folder)) return;
  for (const name of await contents(folder)) await removePath(joinPath(folder, name));
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

/** Returns the facts that a run left at its last start; undefined where they cannot be read. */
export async function readRunFacts(folder: string): Promise<RunFacts | undefined> {
  try {
    return JSON.parse(await readText(joinPath(folder, RUN_FILES.facts))) as RunFacts;
  } catch {
    return undefined;
  }
}
