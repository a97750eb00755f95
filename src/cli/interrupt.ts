/** Ctrl-C during a run: a signal that asks for a stop, and the end of listening. */
export interface Interrupt {
  /** Aborted at the first Ctrl-C (or SIGTERM), and when the terminal is gone (SIGHUP). */
  stop: AbortSignal;
  /** Stops listening. */
  release(): void;
}

/**
 * Turns the first Ctrl-C into a polite stop and the second into an end at once, with code 130.
 *
 * A terminal that is closed asks for a polite stop however often: the system and the shell both say
 * so.
 *
 * @param notice - is told about the first, to say that a checkpoint follows.
 */
export function listenForInterrupt(notice: () => void): Interrupt {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    notice();
  };
  const onHangup = (): void => {
    if (!controller.signal.aborted) onSignal();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.on("SIGHUP", onHangup);
  return {
    stop: controller.signal,
    release() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      process.off("SIGHUP", onHangup);
    },
  };
}
