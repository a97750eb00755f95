import {
  exists,
  fileError,
  fileSize,
  listFolder,
  makeFolder,
  readText,
  removePath,
  renamePath,
  writeFileAtomic,
} from "#io";
import { CheckpointError } from "../core/errors.ts";
import { joinPath } from "../io/path.ts";
import { STATE_FILE, stateProblem } from "./state.ts";

/** The file that makes a checkpoint whole: its step, and every other file with its size. */
export const MANIFEST = "manifest.json";

/** A checkpoint that can be resumed from, and the newer ones that cannot. */
export interface FoundCheckpoint {
  folder: string;
  step: number;
  passedOver: { folder: string; reason: string }[];
}

interface Manifest {
  step: number;
  files: Record<string, number>;
  /** How good the checkpoint is, larger being better; absent where nothing says so. */
  score?: number;
  /** What the score is of: only scores of the same thing are compared. */
  by?: string;
}

/** Which checkpoints are kept, and how good the one that is saved is. */
export interface Keeping {
  /** Newest ones. */
  last: number;
  /** Larger is better; the best of all that have a score by the same thing is kept besides. */
  score?: number | undefined;
  /** What the score is of. */
  by?: string | undefined;
}

/** What checkpoints are scored by, for {@link Keeping}; undefined where they are kept by age. */
export function scoredBy(output: {
  keep_best: string | null;
  greater_is_better: boolean;
}): string | undefined {
  if (output.keep_best === null) return undefined;
  return output.greater_is_better ? output.keep_best : `-${output.keep_best}`;
}

/** The name of the checkpoint of a step: `checkpoint-00010`. */
export function checkpointName(step: number): string {
  return `checkpoint-${String(step).padStart(5, "0")}`;
}

function stepOf(name: string): number | undefined {
  const digits = /^checkpoint-(\d{5,})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

async function newestFirst(runFolder: string): Promise<string[]> {
  if (!(await exists(runFolder))) return [];
  const names = (await listFolder(runFolder)).filter((name) => stepOf(name) !== undefined);
  return names.sort((a, b) => stepOf(b)! - stepOf(a)!);
}

/**
 * Saves a checkpoint so that it is there whole or not at all.
 *
 * The files are written into `checkpoint-NNNNN.tmp`, listed in a manifest with their sizes, and the
 * folder gets its name last. Then the oldest checkpoints beyond the last ones are deleted, but for
 * the one of the best score; of equal scores the newest.
 *
 * @param writeFiles - writes flat files into the folder it is given.
 * @returns the checkpoint's folder.
 * @throws {CheckpointError} such as `disk-full`; earlier checkpoints are then untouched.
 */
export async function saveCheckpoint(
  runFolder: string,
  step: number,
  { last, score, by }: Keeping,
  writeFiles: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = joinPath(runFolder, checkpointName(step));
  const partial = `${folder}.tmp`;
  try {
    await removePath(partial);
    await makeFolder(partial);
    await writeFiles(partial);
    const files: Record<string, number> = {};
    for (const name of await listFolder(partial)) {
      files[name] = await fileSize(joinPath(partial, name));
    }
    const scored = score !== undefined && { score, ...(by !== undefined && { by }) };
    const manifest: Manifest = { step, files, ...scored };
    await writeFileAtomic(joinPath(partial, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    // A folder of this name is what a resumed run passed over as broken.
    await removePath(folder);
    await renamePath(partial, folder);
  } catch (cause) {
    await removePath(partial).catch(() => {});
    // Only an error of the file system has a system call; any other one keeps its own words.
    const system = cause instanceof Error && "syscall" in cause;
    throw system ? fileError("save the checkpoint", folder, cause) : cause;
  }
  await removeOld(runFolder, step, { last, by });
  return folder;
}

/**
 * Removes what a session that was cut off left: unfinished checkpoints, and those older than the
 * one that is resumed from which it had not deleted yet.
 *
 * @param step of the checkpoint that is resumed from; undefined for a run that starts again.
 * @param keeping what the run keeps; no score is needed.
 */
export async function tidyCheckpoints(
  runFolder: string,
  step: number | undefined,
  keeping: Keeping,
): Promise<void> {
  for (const name of await listFolder(runFolder)) {
    if (/^checkpoint-\d{5,}\.tmp$/.test(name)) await removePath(joinPath(runFolder, name));
  }
  if (step !== undefined) await removeOld(runFolder, step, keeping);
}

/**
 * Deletes checkpoints up to a step beyond the last ones, but for the best; newer ones are those
 * that a resumed run passed over as broken, and count for nothing.
 */
async function removeOld(runFolder: string, step: number, { last, by }: Keeping): Promise<void> {
  const all = (await newestFirst(runFolder)).filter((name) => stepOf(name)! <= step);
  const best = await bestOf(runFolder, all, by);
  for (const old of all.slice(last)) {
    if (old === best) continue;
    // Under its name a checkpoint is whole, also when the deletion is cut off.
    const partial = joinPath(runFolder, `${old}.tmp`);
    await removePath(partial);
    await renamePath(joinPath(runFolder, old), partial);
    await removePath(partial);
  }
}

/** The name of the checkpoint of the largest score, the newest of equals; undefined without any. */
async function bestOf(
  runFolder: string,
  names: readonly string[],
  by: string | undefined,
): Promise<string | undefined> {
  let best: { name: string; score: number } | undefined;
  for (const name of names) {
    const manifest = await readManifest(joinPath(runFolder, name));
    // A run that keeps by age from now on still has the best that it had.
    const score = by === undefined || manifest?.by === by ? manifest?.score : undefined;
    if (typeof score === "number" && score > (best?.score ?? -Infinity)) best = { name, score };
  }
  return best?.name;
}

/** What a folder's manifest says, whatever it is; undefined where it cannot be read. */
async function readManifest(folder: string): Promise<Partial<Manifest> | undefined> {
  try {
    return (JSON.parse(await readText(joinPath(folder, MANIFEST))) ?? {}) as Partial<Manifest>;
  } catch {
    return undefined;
  }
}

async function faultOf(folder: string, step: number): Promise<string | undefined> {
  const manifest = await readManifest(folder);
  if (manifest === undefined) return `${MANIFEST} is missing or is not JSON`;
  if (manifest.step !== step || typeof manifest.files !== "object" || manifest.files === null) {
    return `${MANIFEST} does not describe step ${step}`;
  }
  for (const [name, size] of Object.entries(manifest.files)) {
    const path = joinPath(folder, name);
    if (!(await exists(path))) return `${name} is missing`;
    const actual = await fileSize(path);
    if (actual !== size) return `${name} has ${actual} bytes instead of ${size}`;
  }
  if (!(STATE_FILE in manifest.files)) return `${STATE_FILE} is missing`;
  const problem = stateProblem(await readText(joinPath(folder, STATE_FILE)));
  return problem && `${STATE_FILE} is no trainer state: ${problem}`;
}

/** Whether a run has come to a checkpoint, whole or not. */
export async function hasCheckpoint(runFolder: string): Promise<boolean> {
  return (await newestFirst(runFolder)).length > 0;
}

/**
 * Finds the newest whole checkpoint of a run and says why newer ones were passed over.
 *
 * @throws {CheckpointError} `no-checkpoint` with every reason, when none is whole.
 */
export async function findCheckpoint(runFolder: string): Promise<FoundCheckpoint> {
  const passedOver: FoundCheckpoint["passedOver"] = [];
  for (const name of await newestFirst(runFolder)) {
    const folder = joinPath(runFolder, name);
    const step = stepOf(name)!;
    const reason = await faultOf(folder, step);
    if (reason === undefined) return { folder, step, passedOver };
    passedOver.push({ folder, reason });
  }
  const tried = passedOver.map(({ folder, reason }) => ` ${folder}: ${reason}.`).join("");
  throw new CheckpointError(
    "no-checkpoint",
    `There is no whole checkpoint in ${runFolder} to resume from.${tried}`,
    { hint: "Start without --resume and with another output.run_dir." },
  );
}
