import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareDecoders } from "#media";
import { DataError } from "../../core/errors.ts";
import type { Events } from "../../core/events.ts";
import { makeClip } from "./clip.ts";
import { clipFileName, clipFolderName } from "./dataset.ts";
import { writeClip } from "./write-clip.ts";

/** Clips in the making at a time; the encoders work on threads of their own. */
const CONCURRENCY = 3;

/** Which clip files to make. */
export interface PrepareOptions {
  /** Folder of all caches; a folder per generator seed and version is made in it. */
  folder: string;
  /** Seed of the clip generator. */
  seed: number;
  /** Indices of the wanted clips. */
  indices: readonly number[];
  /** Hears `progress` events with `what`, `done`, `total`, `ratePerS` and `leftS`. */
  events?: Events;
}

/**
 * Makes the clip files that are not there yet and returns the folder that holds them.
 *
 * A file is written beside its place and renamed, so a stopped call leaves only whole files and
 * the next call goes on where it ended.
 *
 * @throws {DataError} `media-decoder-missing` when the codecs are not installed, `clip-write` when a
 * file cannot be written.
 */
export async function prepareClips(options: PrepareOptions): Promise<string> {
  const folder = join(options.folder, clipFolderName(options.seed));
  await mkdir(folder, { recursive: true });
  const present = new Set(await readdir(folder));
  const missing = options.indices.filter((index) => !present.has(clipFileName(index)));
  if (missing.length === 0) return folder;
  // The package that decodes also encodes; mediabunny learns both at once.
  await prepareDecoders();
  const started = performance.now();
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (next < missing.length) {
      const index = missing[next++]!;
      await writeOne(folder, options.seed, index);
      done++;
      const ratePerS = done / Math.max(1e-3, (performance.now() - started) / 1000);
      const leftS = (missing.length - done) / ratePerS;
      options.events?.emit("progress", {
        what: "clips",
        done,
        total: missing.length,
        ratePerS,
        leftS,
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, missing.length) }, work));
  return folder;
}

async function writeOne(folder: string, seed: number, index: number): Promise<void> {
  const path = join(folder, clipFileName(index));
  const beside = `${path}.${process.pid}.part`;
  try {
    await writeFile(beside, await writeClip(makeClip(seed, index)));
    await rename(beside, path);
  } catch (cause) {
    throw new DataError("clip-write", `Clip ${index} of seed ${seed} cannot be made at ${path}.`, {
      hint: "Check that the disk has room and that the folder can be written.",
      cause,
    });
  }
}
