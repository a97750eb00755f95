import { randomUUID } from "node:crypto";
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname } from "node:path";
import { fileError, makeFolder, writeFileAtomic } from "../../node.ts";
import { joinPath } from "../../path.ts";
import { cacheFolderName, isCommit } from "../name.ts";
import { type Survey, survey } from "../wanted.ts";

/** A commit of a model in the cache. */
export interface Snapshot extends Survey {
  commit: string;
  folder: string;
}

/** One model in a cache with the layout of Python's huggingface_hub. */
export interface ModelCache {
  /** Folder of the blobs, which are named by their ETags. */
  readonly blobs: string;
  /** Finds the files of a revision in the cache; undefined when it knows nothing of it. */
  find(revision: string): Promise<Snapshot | undefined>;
  /** Folder of a commit. */
  folder(commit: string): string;
  /** Says whether a file of a commit is there: a link whose blob is gone does not count. */
  has(commit: string, file: string): Promise<boolean>;
  /** Makes a blob appear under a file's name in the snapshot of a commit. */
  place(commit: string, file: string, etag: string): Promise<void>;
  /** Notes that a commit has no such file. */
  noteAbsent(commit: string, file: string): Promise<void>;
  /** Notes which commit a branch or tag is. */
  setRevision(revision: string, commit: string): Promise<void>;
}

/** Opens the part of a cache that belongs to a model; nothing is made before it is needed. */
export function modelCache(cacheFolder: string, name: string): ModelCache {
  const root = joinPath(cacheFolder, cacheFolderName(name));
  const blobs = joinPath(root, "blobs");
  const folder = (commit: string) => joinPath(root, "snapshots", commit);
  const has = (commit: string, file: string) => isThere(joinPath(folder(commit), file));
  const absent = (commit: string, file: string) => joinPath(root, ".no_exist", commit, file);
  const refPath = (revision: string) => joinPath(root, "refs", revision);
  const commitOf = async (revision: string) => {
    if (isCommit(revision)) return revision;
    const text = await readFile(refPath(revision), "utf8").catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  };
  return {
    blobs,
    folder,
    has,
    async find(revision) {
      const commit = await commitOf(revision);
      if (commit === undefined || !(await isThere(folder(commit)))) return undefined;
      const index = joinPath(folder(commit), "model.safetensors.index.json");
      const found = await survey(
        (file) => has(commit, file),
        (file) => isThere(absent(commit, file)),
        () => readFile(index, "utf8"),
        index,
      );
      return { ...found, commit, folder: folder(commit) };
    },
    async place(commit, file, etag) {
      const target = joinPath(folder(commit), file);
      await makeFolder(dirname(target));
      await placeBlob(joinPath(blobs, etag), target, `../../blobs/${etag}`);
    },
    async noteAbsent(commit, file) {
      const path = absent(commit, file);
      if (await isThere(path)) return;
      await makeFolder(dirname(path));
      // Not flushed: a note that a crash takes away is made again.
      await writeFile(path, "").catch((cause: unknown) => {
        throw fileError("write", path, cause);
      });
    },
    async setRevision(revision, commit) {
      if (isCommit(revision) || (await commitOf(revision)) === commit) return;
      const path = refPath(revision);
      // Written elsewhere first: Python takes every file in refs/ for a revision.
      const aside = joinPath(root, `.ref-${randomUUID()}`);
      await makeFolder(dirname(path));
      await writeFileAtomic(aside, commit);
      await rename(aside, path).catch(async (cause: unknown) => {
        await rm(aside, { force: true });
        throw fileError("write", path, cause);
      });
    },
  };
}

/** Says whether something is at a path, at the end of its links. */
async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Makes a blob appear at `target`: as a symlink with the text `relative`, or, where the system
 * refuses those (Windows without developer mode), as a hard link, or else as a copy.
 */
export async function placeBlob(
  blob: string,
  target: string,
  relative: string,
  links = { symlink, link },
): Promise<void> {
  if (await isThere(target)) return;
  try {
    // A link that is there now leads nowhere.
    await rm(target, { force: true });
    await mkdir(dirname(target), { recursive: true });
    await links
      .symlink(relative, target)
      .catch((cause: unknown) => unlessMade(target, cause))
      .catch(() => links.link(blob, target))
      .catch((cause: unknown) => unlessMade(target, cause))
      .catch(async () => {
        const aside = `${blob}.${randomUUID().slice(0, 8)}.copy`;
        try {
          await copyFile(blob, aside);
          await rename(aside, target);
        } finally {
          await rm(aside, { force: true });
        }
      });
  } catch (cause) {
    throw fileError("write", target, cause);
  }
}

/** Another process may have made the same link in this moment. */
async function unlessMade(target: string, cause: unknown): Promise<void> {
  if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  await lstat(target);
}
