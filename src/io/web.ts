import { CheckpointError } from "../core/errors.ts";
import { type ByteSource, type FileWriter, urlBytes, urlExists, urlSource } from "./byte-source.ts";

function refuse(action: string, path: string): never {
  throw new CheckpointError("no-files", `Cannot ${action} ${path}: a page has no file system.`, {
    hint: "Run this step in Node, or offer the bytes as a download.",
  });
}

/** Turns a failure to fetch into an error that names the address. */
export function fileError(action: string, path: string, cause: unknown): CheckpointError {
  if (cause instanceof CheckpointError) return cause;
  return new CheckpointError("file-error", `Cannot ${action} ${path}.`, {
    hint: "See the cause below.",
    cause,
  });
}

/** Reads a whole URL as bytes. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return urlBytes(path);
}

/** Reads a whole URL as UTF-8 text. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

/** Returns the address in full, as messages show it. */
export function absolutePath(path: string): string {
  return new URL(path, globalThis.location?.href).href;
}

/**
 * Says whether an address answers.
 *
 * @throws {CheckpointError} `unreachable` when the server cannot be asked at all.
 */
export async function exists(path: string): Promise<boolean> {
  return urlExists(path);
}

/** Not possible in a page: the web has no listing of a folder. */
export async function listFolder(path: string): Promise<string[]> {
  return refuse("list", path);
}

/** Length of the file behind a URL, in bytes. */
export async function fileSize(path: string): Promise<number> {
  return (await urlSource(path)).size;
}

/** Opens a URL for ranged reads. */
export async function fileSource(path: string): Promise<ByteSource> {
  return urlSource(path);
}

/** Not possible in a page; always raises. */
export async function makeFolder(path: string): Promise<void> {
  refuse("make the folder", path);
}

/** Not possible in a page; always raises. */
export async function claimFolder(path: string): Promise<boolean> {
  return refuse("make the folder", path);
}

/** Not possible in a page; always raises. */
export async function removeEmptyFolder(path: string): Promise<void> {
  refuse("remove", path);
}

/** Returns the address itself: the web shows no links. */
export async function realPath(path: string): Promise<string> {
  return path;
}

/** Not possible in a page; always raises. */
export async function checkRoom(folder: string, _bytes: number): Promise<void> {
  refuse("write", folder);
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

/** Not possible in a page; always raises. */
export async function openWriter(path: string): Promise<FileWriter> {
  return refuse("write", path);
}

/** Not possible in a page; always raises. */
export async function writeFileAtomic(path: string, _content: Uint8Array | string): Promise<void> {
  refuse("write", path);
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

/** Not possible in a page; always raises. */
export async function renamePath(from: string, _to: string): Promise<void> {
  refuse("rename", from);
}

/** Not possible in a page; always raises. */
export async function removePath(path: string): Promise<void> {
  refuse("remove", path);
}
