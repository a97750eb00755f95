import type { LogFile } from "../../src/observe/log-file.ts";

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
