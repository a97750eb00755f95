import { type FileHandle, open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "#io";
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

/** Clips that are looked at at a time. */
const LOOKS = 16;

/**
 * Makes the clip files that are not there yet, or are cut off, and returns the folder that holds them.
 *
 * A file is written beside its place, flushed to the disk and renamed, so a stopped call leaves only
 * whole files and the next call goes on where it ended.
 *
 * @throws {DataError} `media-decoder-missing` when the codecs are not installed, `clip-write` when a
 * file cannot be written.
 */
export async function prepareClips(options: PrepareOptions): Promise<string> {
  const folder = join(options.folder, clipFolderName(options.seed));
  await makeFolder(folder);
  const missing = await missingClips(folder, options.indices);
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

/** Returns the clips that a folder lacks, or has only in part. */
async function missingClips(folder: string, indices: readonly number[]): Promise<number[]> {
  const present = new Set(await readdir(folder));
  const whole = new Map<number, boolean>();
  let next = 0;
  const look = async (): Promise<void> => {
    while (next < indices.length) {
      const index = indices[next++]!;
      const name = clipFileName(index);
      whole.set(index, present.has(name) && (await isWhole(join(folder, name))));
    }
  };
  await Promise.all(Array.from({ length: LOOKS }, look));
  return indices.filter((index) => whole.get(index) !== true);
}

/**
 * Tells whether the boxes of an MP4 file are as long together as the file. Source: ISO/IEC
 * 14496-12, 4.2.
 */
async function isWhole(path: string): Promise<boolean> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    const head = new DataView(new ArrayBuffer(16));
    let at = 0;
    while (at + 8 <= size) {
      await file.read(head, 0, 16, at);
      const short = head.getUint32(0);
      // 1 says that the length follows as 64 bits; 0, a box up to the end, is in none of our files.
      const length = short === 1 ? Number(head.getBigUint64(8)) : short;
      if (length < 8) return false;
      at += length;
    }
    return at === size && size > 0;
  } catch {
    return false;
  } finally {
    await file?.close();
  }
}

async function writeOne(folder: string, seed: number, index: number): Promise<void> {
  const path = join(folder, clipFileName(index));
  // Of this process: another one may be making the same clip.
  const beside = `${path}.${process.pid}.part`;
  try {
    const bytes = await writeClip(makeClip(seed, index));
    const file = await open(beside, "w");
    try {
      await file.writeFile(bytes);
      // Without it a loss of power can leave the name and not the contents.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (cause) {
    throw new DataError("clip-write", `Clip ${index} of seed ${seed} cannot be made at ${path}.`, {
      hint: "Check that the disk has room and that the folder can be written.",
      cause,
    });
  }
}
