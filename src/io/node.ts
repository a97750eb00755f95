import { constants } from "node:fs";
import {
  access,
  appendFile,
  mkdir,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  truncate,
} from "node:fs/promises";
import { createHash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError } from "../core/errors.ts";
import {
  type ByteSource,
  type FileWriter,
  checkRange,
  urlBytes,
  urlExists,
  urlSource,
} from "./byte-source.ts";
import { isUrl } from "./path.ts";

const REMEDIES: Record<string, [code: string, hint: string]> = {
  ENOSPC: ["disk-full", "Free some space or choose another folder; what was there is untouched."],
  EDQUOT: ["disk-full", "Your quota is used up; free some space or choose another folder."],
  EFBIG: ["file-too-large", "The file system has a smaller file limit; choose another folder."],
  EACCES: ["no-permission", "Change the permissions or choose another path."],
  EPERM: ["no-permission", "Change the permissions or choose another path."],
  EROFS: ["no-permission", "The file system is read-only; choose another path."],
  ENOENT: ["missing-file", "Check the path."],
  EEXIST: ["not-a-folder", "A file of that name is there; choose another path."],
  ENOTDIR: ["not-a-folder", "A part of the path is a file; choose another path."],
  EISDIR: ["not-a-file", "The path is a folder; name a file in it."],
  EMFILE: ["too-many-files", "Raise the limit on open files (ulimit -n)."],
};

/** Turns an error of the file system into one that says what happened to which file. */
export function fileError(action: string, path: string, cause: unknown): CheckpointError {
  if (cause instanceof CheckpointError) return cause;
  const system = cause as NodeJS.ErrnoException;
  const [code, hint] = REMEDIES[system.code ?? ""] ?? [
    "file-error",
    "Check the path and the disk.",
  ];
  const said = system.message ?? String(cause);
  // A code that has words of its own says enough.
  const reason = code === "file-error" ? said : (system.code ?? said);
  return new CheckpointError(code, `Cannot ${action} ${path} (${reason}).`, { hint, cause });
}

async function guarded<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw fileError(action, path, cause);
  }
}

function localPath(path: string): string {
  return path.startsWith("file:") ? fileURLToPath(path) : path;
}

/**
 * Reads a whole file or URL as bytes.
 *
 * @throws {CheckpointError} `missing-file`, `no-permission`, `unreachable`, `refused`.
 */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (isUrl(path)) return urlBytes(path);
  return guarded("read", path, async () => new Uint8Array(await readFile(localPath(path))));
}

/**
 * Does work in a folder, whose path it is called with.
 *
 * @throws {CheckpointError} `no-directory` for a directory of a page, which Node has not.
 */
export async function inFolder<T>(
  folder: string | FileSystemDirectoryHandle,
  work: (path: string) => Promise<T>,
): Promise<T> {
  if (typeof folder === "string") return work(folder);
  throw new CheckpointError("no-directory", "Node has no directories of a page.", {
    hint: "Name the folder by its path.",
  });
}

/** Reads a whole file or URL as UTF-8 text; errors as {@link readBytes}. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

/** Returns the path in full, as messages show it; a URL stays as it is. */
export function absolutePath(path: string): string {
  return isUrl(path) ? path : resolve(localPath(path));
}

/** Says whether a file or folder (or, for a URL, an answering address) is there. */
export async function exists(path: string): Promise<boolean> {
  if (isUrl(path)) return urlExists(path);
  return access(localPath(path), constants.F_OK).then(
    () => true,
    () => false,
  );
}

/** Names in a folder, sorted by code unit. */
export async function listFolder(path: string): Promise<string[]> {
  return guarded("list", path, async () => (await readdir(localPath(path))).sort());
}

/** Length of a file in bytes. */
export async function fileSize(path: string): Promise<number> {
  if (isUrl(path)) return (await urlSource(path)).size;
  return guarded("read", path, async () => (await stat(localPath(path))).size);
}

/** Opens a local file (or a URL) for ranged reads; the caller closes it. */
export async function fileSource(path: string): Promise<ByteSource> {
  if (isUrl(path)) return urlSource(path);
  const handle = await guarded("read", path, () => open(localPath(path), "r"));
  const { size } = await guarded("read", path, () => handle.stat());
  const readInto = async (offset: number, into: Uint8Array) => {
    const { length } = into;
    checkRange(path, size, offset, length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await guarded("read", path, () =>
        // One read call moves at most 2 GiB.
        handle.read(into, filled, Math.min(length - filled, 2 ** 30), offset + filled),
      );
      if (bytesRead === 0) checkRange(path, offset + filled, offset, length);
      filled += bytesRead;
    }
  };
  return {
    size,
    readInto,
    async read(offset, length) {
      checkRange(path, size, offset, length);
      const bytes = new Uint8Array(length);
      await readInto(offset, bytes);
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** Makes a folder and the folders above it. */
export async function makeFolder(path: string): Promise<void> {
  await guarded("make the folder", path, () => makeFolders(localPath(path)));
}

/** Node's own recursive mkdir never ends where a folder that is there takes no new one (/proc). */
async function makeFolders(path: string): Promise<void> {
  const once = () =>
    mkdir(path).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
  let error = await once();
  if (error?.code === "ENOENT" && dirname(path) !== path) {
    await makeFolders(dirname(path));
    error = await once();
  }
  if (error === undefined) return;
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() !== true) throw error;
}

/** Makes a folder in one that is there; false where something of its name is there already. */
export async function claimFolder(path: string): Promise<boolean> {
  return guarded("make the folder", path, () =>
    mkdir(localPath(path)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") return false;
        throw error;
      },
    ),
  );
}

/** Removes a folder that is empty; any other one stays. */
export async function removeEmptyFolder(path: string): Promise<void> {
  await rmdir(localPath(path)).catch(() => {});
}

/**
 * Returns the path of a file or folder without links; what of it is not there yet stays as it is.
 */
export async function realPath(path: string): Promise<string> {
  const whole = resolve(localPath(path));
  const real = await realpath(whole).catch(() => undefined);
  if (real !== undefined || dirname(whole) === whole) return real ?? whole;
  return join(await realPath(dirname(whole)), basename(whole));
}

/** Bytes that can still be written where a folder is or will be; undefined where nobody says. */
async function freeBytes(path: string): Promise<number | undefined> {
  for (let at = resolve(localPath(path)); ; at = dirname(at)) {
    const found = await statfs(at).catch(() => undefined);
    // File systems without a size (of a network, in memory without a limit) say 0.
    if (found !== undefined) return found.blocks > 0 ? found.bavail * found.bsize : undefined;
    if (dirname(at) === at) return undefined;
  }
}

/**
 * Makes sure that so many bytes fit where a folder is or will be, before a long write begins.
 *
 * @throws {CheckpointError} `disk-full` with what is needed and what is free.
 */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (free === undefined || free >= bytes) return;
  const megabytes = (count: number) => (count / 1e6).toFixed(count < 1e7 ? 2 : 0);
  throw new CheckpointError(
    "disk-full",
    `Cannot write to ${folder}: ${megabytes(bytes)} MB are needed and ${megabytes(free)} MB are free.`,
    { hint: REMEDIES["ENOSPC"]![1] },
  );
}

/** Returns the SHA-256 of a file, as hexadecimal digits. */
export async function fileDigest(path: string): Promise<string> {
  const source = await fileSource(path);
  try {
    const hash = createHash("sha256");
    let next = source.read(0, Math.min(PIECE, source.size));
    for (let at = PIECE; at < source.size; at += PIECE) {
      const piece = await next;
      // Read while this piece is digested.
      next = source.read(at, Math.min(PIECE, source.size - at));
      hash.update(piece);
    }
    return hash.update(await next).digest("hex");
  } finally {
    await source.close?.();
  }
}

const PIECE = 2 ** 23;

/** Digests by file name of what is being written into folders, by folder. */
const digesting = new Map<string, Map<string, string>>();

/**
 * Does work that writes files into a folder, and digests them on the way to the disk.
 *
 * @returns the SHA-256 of each file that {@link openWriter} wrote there, by name.
 */
export async function digestWrites(
  folder: string,
  work: () => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const key = resolve(localPath(folder));
  const digests = new Map<string, string>();
  digesting.set(key, digests);
  try {
    await work();
    return digests;
  } finally {
    digesting.delete(key);
  }
}

/**
 * Starts a file that appears under its name only when `commit` is called.
 *
 * @throws {CheckpointError} `disk-full`, `no-permission`, `missing-file` (its folder).
 */
export async function openWriter(path: string): Promise<FileWriter> {
  const target = localPath(path);
  const part = `${target}.part`;
  const handle = await guarded("write", path, () => open(part, "w"));
  const digests = digesting.get(dirname(resolve(target)));
  const hash = digests && createHash("sha256");
  let closed = false;
  const abort = async () => {
    if (!closed) await handle.close().catch(() => {});
    closed = true;
    await rm(part, { force: true });
  };
  const orAbort = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (cause) {
      await abort();
      throw fileError("write", path, cause);
    }
  };
  return {
    write: (bytes) =>
      orAbort(async () => {
        for (let done = 0; done < bytes.byteLength;) {
          const length = Math.min(bytes.byteLength - done, hash ? PIECE : 2 ** 30);
          const writing = handle.write(bytes, done, length);
          hash?.update(bytes.subarray(done, done + length));
          let put = (await writing).bytesWritten;
          while (put < length) {
            put += (await handle.write(bytes, done + put, length - put)).bytesWritten;
          }
          done += length;
        }
      }),
    commit: () =>
      orAbort(async () => {
        await handle.sync();
        await handle.close();
        closed = true;
        await rename(part, target);
        if (hash) digests!.set(basename(target), hash.digest("hex"));
        await syncFolder(dirname(target));
      }),
    abort,
  };
}

/** Makes a rename durable; some systems cannot open a folder, and need not. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Writes a whole file beside its name, flushes it, then renames; errors as {@link openWriter}. */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const writer = await openWriter(path);
  await writer.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
  await writer.commit();
}

/** Adds bytes at the end of a file, which is made if it is missing. */
export async function appendBytes(path: string, bytes: Uint8Array): Promise<void> {
  await guarded("append to", path, () => appendFile(localPath(path), bytes));
}

/** Adds one line of text and its newline at the end of a file. */
export async function appendLine(path: string, line: string): Promise<void> {
  await guarded("append to", path, () => appendFile(localPath(path), `${line}\n`));
}

/** Cuts a file to its first `size` bytes. */
export async function truncateFile(path: string, size: number): Promise<void> {
  const now = await fileSize(path);
  if (now < size) checkRange(path, now, 0, size);
  await guarded("truncate", path, () => truncate(localPath(path), size));
}

/** Gives a file or folder another name on the same disk, replacing a file of that name. */
export async function renamePath(from: string, to: string): Promise<void> {
  await guarded("rename", from, () => rename(localPath(from), localPath(to)));
  await syncFolder(dirname(localPath(to)));
}

/** Removes a file, or a folder with all it holds; a missing one is fine. */
export async function removePath(path: string): Promise<void> {
  await guarded("remove", path, () => rm(localPath(path), { recursive: true, force: true }));
}
