import { appendJsonLine, type LogFile } from "./log-file.ts";

/** A stretch of work on one track of a trace. */
export interface Span {
  name: string;
  /** Start, in microseconds on the clock of the trace. */
  startUs: number;
  /** Length, in microseconds. */
  durationUs: number;
  /** Whose work it is; each is a row in the viewer. */
  track: "host" | "gpu";
  /** Details that the viewer shows on a click. */
  args?: Record<string, unknown>;
}

const PROCESS = 1;
const TRACKS = { host: 1, gpu: 2 } as const;
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

  constructor(log: LogFile) {
    this.#log = log;
    if (log.bytes > 0) return;
    log.append(encoder.encode("[\n"));
    for (const [track, tid] of Object.entries(TRACKS)) {
      this.#event({ name: "thread_name", ph: "M", pid: PROCESS, tid, args: { name: track } });
    }
  }

  #event(event: Record<string, unknown>): void {
    this.#log.append(encoder.encode(`${JSON.stringify(event)},\n`));
  }

  /** Adds a stretch of work. */
  span(span: Span): void {
    const { name, startUs, durationUs, track, args = {} } = span;
    const place = { pid: PROCESS, tid: TRACKS[track] };
    this.#event({ name, ph: "X", ts: startUs, dur: durationUs, ...place, args });
  }

  /** Adds values over time, drawn as a filled curve. */
  counter(name: string, timeUs: number, values: Record<string, number>): void {
    this.#event({ name, ph: "C", ts: timeUs, pid: PROCESS, args: values });
  }

  /** Ends the trace as strict JSON. */
  close(): void {
    const end = { name: "end", ph: "M", pid: PROCESS, args: {} };
    appendJsonLine(this.#log, end);
    this.#log.append(encoder.encode("]\n"));
    this.#log.close();
  }
}
