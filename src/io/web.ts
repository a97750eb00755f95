import { CheckpointError } from "../core/errors.ts";
import { type ByteSource, type FileWriter, urlBytes, urlExists, urlSource } from "./byte-source.ts";
import {
  type Directory,
  inDirectory,
  isInDirectory,
  isThere,
  makeFolders,
  move,
  namesIn,
  openFile,
  remove,
  removeIfEmpty,
  writeTo,
} from "./directory.ts";

function refuse(action: string, path: string): never {
  throw new CheckpointError(
    "no-files",
    `Cannot ${action} ${path}: it is in no directory of this page.`,
    {
      hint: "Run this step in Node, or hand in a directory (navigator.storage.getDirectory()).",
    },
  );
}

/** Turns a failure to fetch into an error that names the address. */
export function fileError(action: string, path: string, cause: unknown): CheckpointError {
  if (cause instanceof CheckpointError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CheckpointError("file-error", `Cannot ${action} ${path}: ${why}.`, {
    hint: "Check the address and the connection.",
    cause,
  });
}

/**
 * Does work in a folder, whose path it is called with: an address, or a directory that the user chose
 * or that is the page's own.
 */
export async function inFolder<T>(
  folder: string | Directory,
  work: (path: string) => Promise<T>,
): Promise<T> {
  return typeof folder === "string" ? work(folder) : inDirectory(folder, work);
}

/** Reads a whole file as bytes. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!isInDirectory(path)) return urlBytes(path);
  const file = await openFile(path);
  return file.read(0, file.size);
}

/** Reads a whole file as UTF-8 text. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

/** Returns the address in full, as messages show it. */
export function absolutePath(path: string): string {
  return isInDirectory(path) ? path : new URL(path, globalThis.location?.href).href;
}

/**
 * Says whether a file is there: whether its address answers.
 *
 * @throws {CheckpointError} `unreachable` when the server cannot be asked at all.
 */
export async function exists(path: string): Promise<boolean> {
  return isInDirectory(path) ? isThere(path) : urlExists(path);
}

/** The names in a folder of a directory; the web has no listing of an address. */
export async function listFolder(path: string): Promise<string[]> {
  return isInDirectory(path) ? namesIn(path) : refuse("list", path);
}

/** Length of a file, in bytes. */
export async function fileSize(path: string): Promise<number> {
  return (await fileSource(path)).size;
}

/** Opens a file for ranged reads. */
export async function fileSource(path: string): Promise<ByteSource> {
  return isInDirectory(path) ? openFile(path) : urlSource(path);
}

/** Makes a folder of a directory and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await (isInDirectory(path) ? makeFolders(path) : refuse("make the folder", path));
}

/** Not possible in a page; always raises. */
export async function claimFolder(path: string): Promise<boolean> {
  return refuse("make the folder", path);
}

/** Removes a folder of a directory that is empty; any other one stays. */
export async function removeEmptyFolder(path: string): Promise<void> {
  await (isInDirectory(path) ? removeIfEmpty(path) : refuse("remove", path));
}

/** Returns the address itself: the web shows no links. */
export async function realPath(path: string): Promise<string> {
  return path;
}

/** Nothing: a page is told that there is no room when it writes. */
export async function checkRoom(folder: string, _bytes: number): Promise<void> {
  if (!isInDirectory(folder)) refuse("write", folder);
}

/** Not possible in a page; always raises. */
export async function fileDigest(path: string): Promise<string> {
  return refuse("digest", path);
}

/** Not possible in a page; always raises. */
export async function digestWrites(
  folder: string,
  _work: () => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  return refuse("write into", folder);
}

/** Starts a file of a directory that has its new content only when `commit` is called. */
export async function openWriter(path: string): Promise<FileWriter> {
  return isInDirectory(path) ? writeTo(path) : refuse("write", path);
}

/** Writes a whole file of a directory, or leaves the old one. */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const writer = await openWriter(path);
  await writer.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
  await writer.commit();
}

/** Not possible in a page; always raises. */
export async function appendBytes(path: string, _bytes: Uint8Array): Promise<void> {
  refuse("append to", path);
}

/** Not possible in a page; always raises. */
export async function appendLine(path: string, _line: string): Promise<void> {
  refuse("append to", path);
}

/** Not possible in a page; always raises. */
export async function truncateFile(path: string, _size: number): Promise<void> {
  refuse("truncate", path);
}

/** Gives a file of a directory another name in it, replacing a file of that name. */
export async function renamePath(from: string, to: string): Promise<void> {
  await (isInDirectory(from) ? move(from, to) : refuse("rename", from));
}

/** Removes a file of a directory, or a folder with all it holds; a missing one is fine. */
export async function removePath(path: string): Promise<void> {
  await (isInDirectory(path) ? remove(path) : refuse("remove", path));
}
