/**
 * Directories that a page was given: by the user (`showDirectoryPicker`), or of its own
 * (`navigator.storage.getDirectory()`). While work is done in one, paths name what is in it.
 */
import { CheckpointError } from "../core/errors.ts";
import { blobSource, type ByteSource, type FileWriter } from "./byte-source.ts";

/** A directory of a page, as the File System API names it. */
export type Directory = FileSystemDirectoryHandle;

const PREFIX = "directory:";
const given = new Map<string, Directory>();
let count = 0;

/** Does work in a directory, which has the path that the work is called with until its end. */
export async function inDirectory<T>(
  directory: Directory,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const path = `${PREFIX}${++count}/${directory.name}`;
  given.set(path, directory);
  try {
    return await work(path);
  } finally {
    given.delete(path);
  }
}

/** Tells whether a path is of a directory that was given to the page. */
export function isInDirectory(path: string): boolean {
  return path.startsWith(PREFIX);
}

/** The directory that a path begins with, and the names below it. */
function placeOf(path: string): { root: Directory; names: string[] } {
  const parts = path.split("/").filter((part) => part !== "");
  const root = given.get(parts.slice(0, 2).join("/"));
  if (root === undefined) throw new Error(`${path} is of no directory that work is done in`);
  return { root, names: parts.slice(2) };
}

async function folderAt(path: string, create = false): Promise<Directory> {
  const { root, names } = placeOf(path);
  let folder = root;
  for (const name of names) folder = await folder.getDirectoryHandle(name, { create });
  return folder;
}

/** The folder of a file, and the file's name. */
async function parentOf(path: string): Promise<{ folder: Directory; name: string }> {
  const at = path.lastIndexOf("/");
  return { folder: await folderAt(path.slice(0, at)), name: path.slice(at + 1) };
}

async function fileAt(path: string): Promise<File> {
  const { folder, name } = await parentOf(path);
  return (await folder.getFileHandle(name)).getFile();
}

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError";
}

const REMEDIES: Readonly<Record<string, readonly [code: string, hint: string]>> = {
  NotFoundError: ["missing-file", "Check the name."],
  NotAllowedError: ["no-permission", "Ask for it with requestPermission({ mode: 'readwrite' })."],
  QuotaExceededError: ["disk-full", "Make room on the disk, or let the user choose a directory."],
};

/** Does what touches a directory; what the browser refuses becomes an error that names the path. */
async function guarded<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof DOMException)) throw cause;
    const shown = path.slice(path.indexOf("/") + 1);
    const [code, hint] = REMEDIES[cause.name] ?? [
      "file-error",
      "Check the path and its directory.",
    ];
    throw new CheckpointError(code, `Cannot ${action} ${shown}: ${cause.message}`, { hint, cause });
  }
}

/** Opens a file for reading. */
export function openFile(path: string): Promise<ByteSource> {
  return guarded("read", path, async () => blobSource(await fileAt(path), path));
}

/** Tells whether there is a file or folder of a path. */
export async function isThere(path: string): Promise<boolean> {
  if (placeOf(path).names.length === 0) return true;
  const { folder, name } = await parentOf(path).catch((error: unknown) => {
    if (isMissing(error)) return { folder: undefined, name: "" };
    throw error;
  });
  if (folder === undefined) return false;
  for await (const key of folder.keys()) if (key === name) return true;
  return false;
}

/** The names in a folder. */
export function namesIn(path: string): Promise<string[]> {
  return guarded("list", path, async () => {
    const names: string[] = [];
    for await (const name of (await folderAt(path)).keys()) names.push(name);
    return names.toSorted();
  });
}

/** Makes a folder and those above it. */
export async function makeFolders(path: string): Promise<void> {
  await guarded("make the folder", path, () => folderAt(path, true));
}

/**
 * Starts a file, which has its new content when `commit` is called: the browser keeps it aside until
 * then.
 */
export function writeTo(path: string): Promise<FileWriter> {
  return guarded("write", path, async () => {
    const { folder, name } = await parentOf(path);
    const isNew = !(await isThere(path));
    const file = await folder.getFileHandle(name, { create: true });
    const stream = await file.createWritable();
    const abort = async () => {
      await stream.abort().catch(() => {});
      // Made empty when it was opened.
      if (isNew) await folder.removeEntry(name).catch(() => {});
    };
    const orAbort = async (work: () => Promise<void>) => {
      try {
        await guarded("write", path, work);
      } catch (error) {
        await abort();
        throw error;
      }
    };
    return {
      write: (bytes) => orAbort(() => stream.write(new Uint8Array(bytes))),
      commit: () => orAbort(() => stream.close()),
      abort,
    };
  });
}

/** Removes a file, or a folder with all that is in it; a missing one is fine. */
export async function remove(path: string): Promise<void> {
  await guarded("remove", path, async () => {
    const { folder, name } = await parentOf(path);
    await folder.removeEntry(name, { recursive: true });
  }).catch((error: unknown) => {
    if (!(error instanceof CheckpointError && error.code === "missing-file")) throw error;
  });
}

/** Removes a folder that is empty; any other one, and a directory that was given, stays. */
export async function removeIfEmpty(path: string): Promise<void> {
  if (placeOf(path).names.length === 0) return;
  const { folder, name } = await parentOf(path);
  await folder.removeEntry(name).catch(() => {});
}

/** Gives a file another name, replacing a file of that name: by a copy, which every browser can. */
export async function move(from: string, to: string): Promise<void> {
  const [file, writer] = [await openFile(from), await writeTo(to)];
  for (let at = 0; at < file.size; at += PIECE) {
    await writer.write(await file.read(at, Math.min(PIECE, file.size - at)));
  }
  await writer.commit();
  await remove(from);
}

/** Bytes that are copied at a time. */
const PIECE = 2 ** 24;
