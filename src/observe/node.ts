import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import type { LogFile, OpenLog, WriteFile } from "./log-file.ts";

function logError(action: string, path: string, cause: unknown): CheckpointError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
  const full = reason === "ENOSPC" || reason === "EDQUOT";
  return new CheckpointError(
    full ? "disk-full" : "log-unwritable",
    `Cannot ${action} ${path} (${reason}).`,
    {
      hint: full
        ? "Free some space and continue with --resume; what was written is whole."
        : "Check the folder's permissions and continue with --resume.",
      cause,
    },
  );
}

/** Logs of whole lines; the others are of records that only their own readers can tell apart. */
const LINES = /\.jsonl?$/;
const LINE_FEED = 0x0a;

/** Length of a file's first so many bytes without a line that is cut off at their end. */
function wholeLines(descriptor: number, bytes: number): number {
  const piece = new Uint8Array(2 ** 16);
  for (let end = bytes; end > 0;) {
    const start = Math.max(0, end - piece.length);
    const read = readSync(descriptor, piece, 0, end - start, start);
    const last = piece.subarray(0, read).lastIndexOf(LINE_FEED);
    if (last >= 0) return start + last + 1;
    end = start;
  }
  return 0;
}

/**
 * Opens a log file for appending; its folders are made, writes reach the system at once.
 *
 * A file with fewer bytes than are to be kept is gone on with after its last whole line, or anew
 * where it has no lines, and says how much it lacks.
 *
 * @param keepBytes - cuts the file to this length first, as a resumed run does.
 * @throws {CheckpointError} `disk-full`, `log-unwritable`.
 */
export function openLogFile(path: string, keepBytes?: number): LogFile {
  let descriptor: number;
  let bytes: number;
  let missing = 0;
  try {
    mkdirSync(dirname(path), { recursive: true });
    descriptor = openSync(path, "a+");
    bytes = fstatSync(descriptor).size;
    if (keepBytes !== undefined) {
      const kept = Math.min(bytes, keepBytes);
      if (LINES.test(path)) bytes = wholeLines(descriptor, kept);
      else bytes = kept < keepBytes ? 0 : kept;
      missing = keepBytes - bytes;
      ftruncateSync(descriptor, bytes);
    }
  } catch (cause) {
    throw logError("open", path, cause);
  }
  return {
    missing,
    get bytes() {
      return bytes;
    },
    append(added) {
      try {
        let done = 0;
        while (done < added.length) done += writeSync(descriptor, added, done);
        bytes += added.length;
      } catch (cause) {
        // A line that does not fit is taken back, so that the log ends with a whole one.
        try {
          ftruncateSync(descriptor, bytes);
        } catch {
          // The first error says more than that the device cannot be cut back.
        }
        throw logError("append to", path, cause);
      }
    },
    flush() {
      try {
        fsyncSync(descriptor);
      } catch (cause) {
        throw logError("flush", path, cause);
      }
    },
    close: () => closeSync(descriptor),
  };
}

/**
 * Writes whole files by their names inside a folder: beside their place, then renamed.
 *
 * The writer raises {@link CheckpointError} `disk-full` or `log-unwritable`.
 */
export function filesIn(folder: string): WriteFile {
  return (name, bytes) => {
    const path = join(folder, name);
    const beside = `${path}.part`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(beside, bytes);
      renameSync(beside, path);
    } catch (cause) {
      throw logError("write", path, cause);
    }
  };
}

/** Opens logs by their names inside a folder. */
export function logsIn(folder: string): OpenLog {
  return (name, keepBytes) => openLogFile(join(folder, name), keepBytes);
}
