import { CheckpointError } from "../core/errors.ts";
import type { LogFile, OpenLog, WriteFile } from "./log-file.ts";

function refuse(path: string): never {
  throw new CheckpointError("no-files", `Cannot write ${path}: a page has no file system.`, {
    hint: "Listen to the run's events instead.",
  });
}

/** Not possible in a page; always raises. */
export function openLogFile(path: string, _keepBytes?: number): LogFile {
  return refuse(path);
}

/** Not possible in a page: the writer always raises. */
export function filesIn(folder: string): WriteFile {
  return () => refuse(folder);
}

/** Not possible in a page: opening a log always raises. */
export function logsIn(folder: string): OpenLog {
  return () => refuse(folder);
}
