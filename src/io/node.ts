import { constants } from "node:fs";
import {
  access,
  appendFile,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  truncate,
} from "node:fs/promises";
import { dirname } from "node:path";
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
  ENOTDIR: ["not-a-folder", "A part of the path is a file; choose another path."],
  EISDIR: ["not-a-file", "The path is a folder; name a file in it."],
  EMFILE: ["too-many-files", "Raise the limit on open files (ulimit -n)."],
};

/** Turns an error of the file system into one that says what happened to which file. */
export function fileError(action: string, path: string, cause: unknown): CheckpointError {
  if (cause instanceof CheckpointError) return cause;
  const system = cause as NodeJS.ErrnoException;
  const [code, hint] = REMEDIES[system.code ?? ""] ?? ["file-error", "See the cause below."];
  const reason = system.code ?? system.message ?? String(cause);
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

/** Reads a whole file or URL as UTF-8 text; errors as {@link readBytes}. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
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
  await guarded("make the folder", path, () => mkdir(localPath(path), { recursive: true }));
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
          const length = Math.min(bytes.byteLength - done, 2 ** 30);
          done += (await handle.write(bytes, done, length)).bytesWritten;
        }
      }),
    commit: () =>
      orAbort(async () => {
        await handle.sync();
        await handle.close();
        closed = true;
        await rename(part, target);
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
