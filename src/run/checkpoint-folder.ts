import { z } from "zod";
import {
  digestWrites,
  exists,
  fileDigest,
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
import { NON_FINITE } from "../checkpoint/finite.ts";
import { parseState, STATE_FILE, stateProblem } from "./state.ts";

/** The file that makes a checkpoint whole: its step, and every other file with size and digest. */
const MANIFEST = "manifest.json";

/** A checkpoint that can be resumed from, and the newer ones that cannot. */
export interface FoundCheckpoint {
  folder: string;
  step: number;
  passedOver: { folder: string; reason: string }[];
}

const manifestSchema = z.object({
  step: z.int().min(0),
  /** Every other file. */
  files: z.record(z.string(), z.object({ bytes: z.int().min(0), sha256: z.string() })),
  /** How good the checkpoint is, larger being better; absent where nothing says so. */
  score: z.number().optional(),
  /** The metric of the score: only scores of the same metric are compared. */
  by: z.string().optional(),
});

type Manifest = z.infer<typeof manifestSchema>;

/** Which checkpoints are kept, and how good the one that is saved is. */
export interface Keeping {
  /** Newest ones. */
  last: number;
  /** Larger is better; the best of all that have a score by the same thing is kept besides. */
  score?: number | undefined;
  /** The metric of the score. */
  by?: string | undefined;
}

/**
 * Returns the metric by which checkpoints are scored, for {@link Keeping}; undefined where they are
 * kept by age.
 */
export function scoredBy(output: {
  keep_best: string | null;
  greater_is_better: boolean;
}): string | undefined {
  if (output.keep_best === null) return undefined;
  return output.greater_is_better ? output.keep_best : `-${output.keep_best}`;
}

/** Returns the name of the checkpoint of a step: `checkpoint-00010`. */
export function checkpointName(step: number): string {
  return `checkpoint-${String(step).padStart(5, "0")}`;
}

function stepOf(name: string): number | undefined {
  const digits = /^checkpoint-(\d{5,})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Tells whether a name is that of a checkpoint's folder. */
export function isCheckpointName(name: string): boolean {
  return stepOf(name) !== undefined;
}

async function newestFirst(runFolder: string): Promise<string[]> {
  if (!(await exists(runFolder))) return [];
  const names = (await listFolder(runFolder)).filter((name) => stepOf(name) !== undefined);
  return names.sort((a, b) => stepOf(b)! - stepOf(a)!);
}

/**
 * Saves a checkpoint so that it is there whole or not at all.
 *
 * The files are written into `checkpoint-NNNNN.tmp`, listed in a manifest with their sizes and
 * digests, and the folder gets its name last. Then the oldest checkpoints beyond the last ones are deleted, but for
 * the one of the best score; of equal scores the newest.
 *
 * @param writeFiles - writes flat files into the folder it is given.
 * @returns the checkpoint's folder.
 * @throws {CheckpointError} such as `disk-full`, or `non-finite` where the weights are; earlier
 *   checkpoints are then untouched.
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
    const digests = await digestWrites(partial, () => writeFiles(partial));
    const files: Manifest["files"] = {};
    for (const name of await listFolder(partial)) {
      const path = joinPath(partial, name);
      const sha256 = digests.get(name) ?? (await fileDigest(path));
      files[name] = { bytes: await fileSize(path), sha256 };
    }
    const scored = score !== undefined && { score, ...(by !== undefined && { by }) };
    const manifest: Manifest = { step, files, ...scored };
    await writeFileAtomic(joinPath(partial, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    // A folder of this name is what a resumed run passed over as broken.
    await removePath(folder);
    await renamePath(partial, folder);
  } catch (cause) {
    await removePath(partial).catch(() => {});
    if (cause instanceof CheckpointError && cause.code === NON_FINITE) {
      throw await overflowError(runFolder, step, cause);
    }
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

/**
 * Returns the name of the checkpoint of the largest score, the newest of equals; undefined without
 * any.
 */
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

/** Reads a folder's manifest; undefined where it cannot be read. */
async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    const text = await readText(joinPath(folder, MANIFEST));
    return manifestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * Returns the fault of a checkpoint, as far as sizes and its small files tell; undefined for none.
 */
async function roughFaultOf(folder: string, step: number): Promise<string | undefined> {
  const manifest = await readManifest(folder);
  if (manifest === undefined) return `${MANIFEST} is missing or does not list files and digests`;
  if (manifest.step !== step) return `${MANIFEST} does not describe step ${step}`;
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    const path = joinPath(folder, name);
    if (!(await exists(path))) return `${name} is missing`;
    const actual = await fileSize(path);
    if (actual !== bytes) return `${name} has ${actual} bytes instead of ${bytes}`;
  }
  if (!(STATE_FILE in manifest.files)) return `${STATE_FILE} is missing`;
  const text = await readText(joinPath(folder, STATE_FILE));
  const problem = stateProblem(text);
  if (problem !== undefined) return `${STATE_FILE} is no trainer state: ${problem}`;
  const state = parseState(text, STATE_FILE);
  if (state.step !== step) return `${STATE_FILE} is of step ${state.step}, not ${step}`;
  return undefined;
}

/** Returns the fault of a checkpoint, of which every byte is read; undefined for none. */
async function faultOf(folder: string, step: number): Promise<string | undefined> {
  try {
    const rough = await roughFaultOf(folder, step);
    if (rough !== undefined) return rough;
    const { files } = (await readManifest(folder))!;
    for (const [name, { sha256 }] of Object.entries(files)) {
      const digest = await fileDigest(joinPath(folder, name));
      if (digest !== sha256) return `${name} is damaged: its SHA-256 is not the manifest's`;
    }
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? cause.message.replace(/\.$/, "") : String(cause);
  }
}

/** Returns the newest checkpoint whose files are all there; their contents are not read. */
export async function wholeCheckpoint(runFolder: string): Promise<string | undefined> {
  for (const name of await newestFirst(runFolder)) {
    const folder = joinPath(runFolder, name);
    const fault = await roughFaultOf(folder, stepOf(name)!).catch(() => "unreadable");
    if (fault === undefined) return folder;
  }
  return undefined;
}

/** Why a step has no checkpoint, and what can be gone on from. */
async function overflowError(
  runFolder: string,
  step: number,
  cause: CheckpointError,
): Promise<CheckpointError> {
  const good = await wholeCheckpoint(runFolder);
  const adapter = good !== undefined && (await exists(joinPath(good, "adapter_config.json")));
  const from = good === undefined || adapter ? "" : `, with model.path=${good}`;
  const kept = good === undefined ? "No earlier one is there." : `${good} is whole.`;
  return new CheckpointError(
    NON_FINITE,
    `Step ${step} was not saved: ${cause.message.replace(/\.$/, "")}, so one of the updates since the last checkpoint overflowed. ${kept}`,
    {
      hint: `Begin another run with a lower train.learning_rate or train.max_grad_norm${from}.`,
      cause,
    },
  );
}

/** Tells whether a run has come to a checkpoint, whole or not. */
export async function hasCheckpoint(runFolder: string): Promise<boolean> {
  return (await newestFirst(runFolder)).length > 0;
}

/**
 * Finds the newest checkpoint of a run that is whole and undamaged, and says why newer ones were
 * passed over.
 *
 * @param only the name of the one checkpoint that will do.
 * @throws {CheckpointError} `no-checkpoint` with every reason, when none is.
 */
export async function findCheckpoint(runFolder: string, only?: string): Promise<FoundCheckpoint> {
  const passedOver: FoundCheckpoint["passedOver"] = [];
  for (const name of await newestFirst(runFolder)) {
    if (only !== undefined && name !== only) continue;
    const folder = joinPath(runFolder, name);
    const step = stepOf(name)!;
    const reason = await faultOf(folder, step);
    if (reason === undefined) return { folder, step, passedOver };
    passedOver.push({ folder, reason });
  }
  const tried = passedOver.map(({ folder, reason }) => ` ${folder}: ${reason}.`).join("");
  const what = only === undefined ? "There is no whole checkpoint in" : `${only} is not whole in`;
  const others = only === undefined ? "" : `--resume ${runFolder} takes the newest whole one, or `;
  throw new CheckpointError("no-checkpoint", `${what} ${runFolder} to resume from.${tried}`, {
    hint: capital(
      `${others}${passedOver.length > 0 ? "restore the files from a copy, or " : ""}start without --resume and with another output.run_dir.`,
    ),
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Renames checkpoints that are newer than one that a run is to go on from, so that a later resume
 * does not take them for its own.
 *
 * @returns their new folders.
 */
export async function setAsideAfter(runFolder: string, step: number): Promise<string[]> {
  const aside: string[] = [];
  for (const name of await newestFirst(runFolder)) {
    if (stepOf(name)! <= step) continue;
    const folder = joinPath(runFolder, `later-${name}`);
    await removePath(folder);
    await renamePath(joinPath(runFolder, name), folder);
    aside.push(folder);
  }
  return aside;
}
