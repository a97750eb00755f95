/** A log that grows at its end: a file, or memory in a page or a test. */
export interface LogFile {
  /** Length so far, in bytes. */
  readonly bytes: number;
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

/** A log in memory. */
export interface MemoryLog extends LogFile {
  /** Everything appended so far. */
  content(): Uint8Array;
}

/** Makes a log in memory, which starts with `initial`. */
export function memoryLog(initial: Uint8Array = new Uint8Array()): MemoryLog {
  const parts = [initial.slice()];
  let bytes = initial.length;
  return {
    get bytes() {
      return bytes;
    },
    append(added) {
      parts.push(added.slice());
      bytes += added.length;
    },
    flush() {},
    close() {},
    content() {
      const whole = new Uint8Array(bytes);
      let offset = 0;
      for (const part of parts) {
        whole.set(part, offset);
        offset += part.length;
      }
      return whole;
    },
  };
}

const encoder = new TextEncoder();

/**
 * Adds one JSON value as a line. Numbers that JSON lacks (NaN, infinities) become null, and so do
 * values that were not measured.
 */
export function appendJsonLine(log: LogFile, value: unknown): void {
  log.append(encoder.encode(`${JSON.stringify(value)}\n`));
}
