import { appendJsonLine, type LogFile } from "./log-file.ts";

/** A stretch of work in a trace. */
interface Span {
  name: string;
  /** Start, in microseconds on the clock of the trace. */
  startUs: number;
  /** Length, in microseconds. */
  durationUs: number;
  /** Details that the viewer shows on a click. */
  args?: Record<string, unknown>;
}

/** Every event is of one process and one thread: the run's. */
const PLACE = { pid: 1, tid: 1 };
const encoder = new TextEncoder();

/**
 * Writes a trace that ui.perfetto.dev and chrome://tracing open.
 *
 * The file is readable at every moment, also when the run is cut off: the format allows the closing
 * bracket to be missing.
 *
 * Source: Trace Event Format, JSON Array Format.
 */
export class TraceLog {
  readonly #log: LogFile;

  /** Begins a trace; one that was cut back to whole lines is gone on with. */
  constructor(log: LogFile) {
    this.#log = log;
    if (log.bytes > 0) return;
    log.append(encoder.encode("[\n"));
    this.#event({ name: "thread_name", ph: "M", ...PLACE, args: { name: "run" } });
  }

  #event(event: Record<string, unknown>): void {
    this.#log.append(encoder.encode(`${JSON.stringify(event)},\n`));
  }

  /** Adds a stretch of work. */
  span({ name, startUs, durationUs, args = {} }: Span): void {
    this.#event({ name, ph: "X", ts: startUs, dur: durationUs, ...PLACE, args });
  }

  /** Ends the trace as strict JSON; the log stays open. */
  end(): void {
    appendJsonLine(this.#log, { name: "end", ph: "M", pid: PLACE.pid, args: {} });
    this.#log.append(encoder.encode("]\n"));
  }
}
