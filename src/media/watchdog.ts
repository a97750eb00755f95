import { beat, begin } from "../core/progress.ts";

/** Default seconds without progress before a decoder counts as hung. */
export const DEFAULT_TIMEOUT_S = 30;

const TICKS = 10;

/** Waits for signs of life. */
export interface Watchdog {
  /** The work went on: the time begins anew. */
  beat: () => void;
  /** Nothing is waited for any more. */
  stop: () => void;
}

/** Calls `stalled` once when there is no sign of life for so many seconds. */
export function startWatchdog(timeoutS: number, stalled: () => void): Watchdog {
  // Counted in ticks, not by the clock: while this thread is busy with other work it cannot hear a
  // sign of life either, and such a time counts as one tick.
  let ticks = 0;
  const timer = setInterval(
    () => {
      if (++ticks <= TICKS) return;
      clearInterval(timer);
      stalled();
    },
    (timeoutS * 1000) / TICKS,
  );
  return { beat: () => void (ticks = 0), stop: () => clearInterval(timer) };
}

/** The subject of a step of decoding. */
export interface WatchedStep {
  file: string;
  /** The work that goes on, in words that follow "while". */
  what: string;
}

/** Waits for one step of decoding, and says when it began and ended to who watches over it. */
export async function watch<T>(step: Promise<T>, { file, what }: WatchedStep): Promise<T> {
  begin(file, what);
  const result = await step;
  beat();
  return result;
}

/** Iterates a decoder; every step is a sign of life. */
export async function* watched<T>(
  items: AsyncIterable<T>,
  { file, what }: WatchedStep,
): AsyncGenerator<T> {
  begin(file, what);
  for await (const item of items) {
    beat();
    yield item;
  }
}
