/**
 * Which run a resume goes on with, and whether what its folder shows allows that: a log with steps
 * is never emptied.
 */
import { exists, fileSize, fileSource, listFolder, readText } from "#io";
import { CheckpointError } from "../core/errors.ts";
import { baseName, joinPath } from "../io/path.ts";
import { hasCheckpoint, isCheckpointName, wholeCheckpoint } from "./checkpoint-folder.ts";
import { RUN_FILES, runFolders } from "./folder.ts";

/** A run that can be resumed, and the newer ones that cannot. */
export interface FoundRun {
  folder: string;
  /** The checkpoint that was asked for; the newest whole one where none was. */
  checkpoint?: string;
  /** Folders of newer starts, with the reason. */
  passedOver: { folder: string; reason: string }[];
}

/**
 * Returns the newest `root/NAME-NUMBER` with a checkpoint, for resuming a run whose folder was not
 * named; where none has one, the newest that took no step.
 *
 * @throws {CheckpointError} `no-run` when there is none; `steps-without-checkpoint`.
 */
export async function lastRun(root: string, name: string): Promise<FoundRun> {
  const folders = await runFolders(root, name);
  const passedOver: FoundRun["passedOver"] = [];
  for (const folder of folders) {
    if (await wholeCheckpoint(folder)) return { folder, passedOver };
    const steps = await stepsShown(folder);
    const reason = (await hasCheckpoint(folder))
      ? "none of its checkpoints is whole"
      : steps === undefined
        ? "it came to no step"
        : `it has no checkpoint, although ${steps}`;
    passedOver.push({ folder, reason });
  }
  for (const folder of folders) {
    if (await exists(joinPath(folder, RUN_FILES.config))) return { folder, passedOver: [] };
  }
  throw new CheckpointError("no-run", `There is no run ${name} in ${root} to resume.`, {
    hint: "Name its folder with --resume PATH, or start without --resume.",
  });
}

/**
 * Returns the run that a path means: a run folder, or a checkpoint in one.
 *
 * @throws {CheckpointError} `no-run` when it is neither.
 */
export async function runAt(path: string): Promise<FoundRun> {
  if (await exists(joinPath(path, RUN_FILES.config))) return { folder: path, passedOver: [] };
  const name = baseName(path);
  const above = joinPath(path, "..");
  if (isCheckpointName(name) && (await exists(joinPath(above, RUN_FILES.config)))) {
    const plain = path.replace(/[\\/]+$/, "");
    const folder = plain.slice(0, -name.length).replace(/[\\/]+$/, "") || ".";
    return { folder, checkpoint: name, passedOver: [] };
  }
  throw new CheckpointError("no-run", `${path} is no run folder and no checkpoint in one.`, {
    hint: "Name a folder with a config.yaml, or a checkpoint-NNNNN inside of it.",
  });
}

/**
 * Refuses to begin a run again whose folder shows that it had taken steps.
 *
 * @throws {CheckpointError} `steps-without-checkpoint` with what is there.
 */
export async function refuseToBeginAgain(folder: string): Promise<void> {
  const shown = await stepsShown(folder);
  if (shown === undefined) return;
  throw new CheckpointError(
    "steps-without-checkpoint",
    `${folder} has no checkpoint to resume from, although ${shown}: to begin again would empty its logs.`,
    {
      hint: "Put a checkpoint-NNNNN of it back, or start a new run without --resume in another folder.",
    },
  );
}

/**
 * Returns in words what in a run folder shows that steps were taken; undefined where nothing does.
 */
async function stepsShown(folder: string): Promise<string | undefined> {
  for (const log of ["metrics.jsonl", "rollouts.jsonl"]) {
    const path = joinPath(folder, log);
    if (!(await exists(path))) continue;
    const last = lastStep(await ends(path));
    if (last > 0) return `${log} has step ${last}`;
    // Metrics decide where there are any: completions of a step that was cut off do not count.
    if (last === 0) break;
  }
  const model = joinPath(folder, RUN_FILES.model);
  const left = (await exists(model)) ? await listFolder(model) : [];
  return left.length > 0 ? `it holds a trained ${RUN_FILES.model}/` : undefined;
}

/** Returns the largest step in lines of JSON; -1 without any. */
function lastStep(text: string): number {
  const steps = [...text.matchAll(/"step":\s*(\d+)/g)].map(([, digits]) => Number(digits));
  return Math.max(-1, ...steps);
}

const END_BYTES = 2 ** 16;

/** Start and end of a log, which may be long. */
async function ends(path: string): Promise<string> {
  const size = await fileSize(path);
  if (size <= 2 * END_BYTES) return readText(path);
  const source = await fileSource(path);
  try {
    const parts = [await source.read(0, END_BYTES), await source.read(size - END_BYTES, END_BYTES)];
    return parts.map((part) => new TextDecoder().decode(part)).join("\n");
  } finally {
    await source.close?.();
  }
}
