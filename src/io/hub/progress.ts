import type { HubProgress } from "./options.ts";

const EVERY_MS = 100;
const WINDOW_MS = 5000;

/** Adds up what several files report and tells it at a bounded pace. */
export interface ProgressMeter {
  /** Says that a file of `total` bytes is to come; said again, it corrects the length. */
  expect(file: string, total: number): void;
  /** Says that `bytes` of a file are on the disk; fewer than before when it was started again. */
  set(file: string, bytes: number): void;
}

/**
 * Makes a meter; `now` is a clock in ms.
 *
 * The rate counts bytes that arrived within the last 5 seconds; bytes that an earlier run left, told
 * by the first `set` of a file, are not in it.
 */
export function progressMeter(
  report: ((progress: HubProgress) => void) | undefined,
  now: () => number,
): ProgressMeter {
  const files = new Map<string, { bytes: number | undefined; total: number }>();
  const start = now();
  let arrived: { at: number; bytes: number }[] = [];
  let last = -Infinity;
  const rate = (at: number) => {
    arrived = arrived.filter((piece) => at - piece.at < WINDOW_MS);
    const bytes = arrived.reduce((sum, piece) => sum + piece.bytes, 0);
    return (bytes * 1000) / Math.max(1, Math.min(WINDOW_MS, at - start));
  };
  return {
    expect(file, total) {
      files.set(file, { bytes: files.get(file)?.bytes, total });
    },
    set(file, bytes) {
      const entry = files.get(file);
      if (entry === undefined || report === undefined) return;
      const at = now();
      const grown = entry.bytes === undefined ? 0 : Math.max(0, bytes - entry.bytes);
      const piece = arrived.at(-1);
      // One piece per tick keeps the list short however small the chunks are.
      if (piece !== undefined && at - piece.at < EVERY_MS) piece.bytes += grown;
      else arrived.push({ at, bytes: grown });
      entry.bytes = bytes;
      if (at - last < EVERY_MS && bytes < entry.total) return;
      last = at;
      let sum = 0;
      let total = 0;
      for (const each of files.values()) {
        sum += each.bytes ?? 0;
        total += each.total;
      }
      report({
        file,
        fileBytes: bytes,
        fileTotal: entry.total,
        bytes: sum,
        total,
        files: files.size,
        bytesPerSecond: rate(at),
      });
    },
  };
}
