import { DataError } from "../core/errors.ts";

/** Default seconds without progress before a decoder counts as hung. */
export const DEFAULT_TIMEOUT_S = 30;

const TICKS = 10;

/**
 * Waits for one step of decoding, but not for ever.
 *
 * @throws {DataError} `media-stalled` when the step takes longer than `timeoutS` seconds.
 */
export async function watch<T>(
  step: Promise<T>,
  { file, what, timeoutS = DEFAULT_TIMEOUT_S }: { file: string; what: string; timeoutS?: number },
): Promise<T> {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    // Counted in ticks, not by the clock: while other work blocks the event loop the decoder cannot
    // report either, and such a time counts as one tick.
    let ticks = 0;
    timer = setInterval(
      () => {
        if (++ticks < TICKS) return;
        reject(
          new DataError("media-stalled", `${file}: no progress for ${timeoutS} s while ${what}.`, {
            hint: "Check that the file can be read to its end, or raise timeoutS.",
          }),
        );
      },
      (timeoutS * 1000) / TICKS,
    );
  });
  try {
    return await Promise.race([step, stalled]);
  } finally {
    clearInterval(timer);
    // The abandoned step may still fail after the race is over; nobody is left to hear it.
    step.catch(() => {});
  }
}

/** Where a decoder is when it is asked for its next picture or piece of sound. */
export interface WatchedLoop {
  file: string;
  /** What goes on, in words that follow "while". */
  what: string;
  timeoutS?: number;
}

/** Iterates a decoder with a watchdog on every step. */
export async function* watched<T>(items: AsyncIterable<T>, loop: WatchedLoop): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let finished = false;
  try {
    while (true) {
      const step = await watch(iterator.next(), loop);
      if (step.done) {
        finished = true;
        return;
      }
      yield step.value;
    }
  } finally {
    // Not awaited: a hung iterator would hang here too.
    if (!finished) void iterator.return?.()?.then(undefined, () => {});
  }
}
