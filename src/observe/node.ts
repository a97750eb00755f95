import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
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

/**
 * Opens a log file for appending; its folders are made, writes reach the system at once.
 *
 * @param keepBytes - cuts the file to this length first, as a resumed run does.
 * @throws {CheckpointError} `disk-full`, `log-unwritable`, or `log-short` when the file has fewer
 * bytes than are to be kept.
 */
export function openLogFile(path: string, keepBytes?: number): LogFile {
  let descriptor: number;
  let bytes: number;
  try {
    mkdirSync(dirname(path), { recursive: true });
    descriptor = openSync(path, "a");
    bytes = fstatSync(descriptor).size;
  } catch (cause) {
    throw logError("open", path, cause);
  }
  if (keepBytes !== undefined) {
    if (bytes < keepBytes) {
      closeSync(descriptor);
      throw new CheckpointError(
        "log-short",
        `${path} has ${bytes} bytes, but the checkpoint was saved when it had ${keepBytes}.`,
        { hint: "Restore the file, or start a new run in another folder." },
      );
    }
    ftruncateSync(descriptor, keepBytes);
    bytes = keepBytes;
  }
  return {
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
