/** A log that grows at its end: a file, or memory where there are none. */
export interface LogFile {
  /** Length so far, in bytes. */
  readonly bytes: number;
  /** Bytes that were to be kept and were not there, on resume. */
  readonly missing?: number;
  /** Adds bytes whole; when it raises, the log is as it was before. */
  append(bytes: Uint8Array): void;
  /** Makes everything appended so far survive a loss of power. */
  flush(): void;
  close(): void;
}

/**
 * Opens the log of that name.
 *
 * @param name - path inside the run folder.
 * @param keepBytes - on resume, the length to cut the log back to; undefined for a new run.
 */
export type OpenLog = (name: string, keepBytes: number | undefined) => LogFile;

/** Writes a file of that name whole, in place of one that is there. */
export type WriteFile = (name: string, bytes: Uint8Array) => void;

/** The store of a run's logs: a folder, or anything else that holds bytes by name. */
export interface LogStore {
  open: OpenLog;
  write: WriteFile;
  /** The text of a log as it was left, for a run that is resumed. */
  read: (name: string) => Promise<string>;
}

const encoder = new TextEncoder();

/**
 * Adds one JSON value as a line. Numbers that JSON lacks (NaN, infinities) become null, and so do
 * values that were not measured.
 */
export function appendJsonLine(log: LogFile, value: unknown): void {
  log.append(encoder.encode(`${JSON.stringify(value)}\n`));
}
