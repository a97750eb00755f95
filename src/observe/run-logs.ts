import type { RunEvent, RunEventKind, RunEvents } from "../core/run-events.ts";
import { withAliases } from "./aliases.ts";
import { completionsFile, completionsParquet } from "./completions-parquet.ts";
import { completionMetrics, type CompletionView, completionView } from "./completions.ts";
import { appendJsonLine, type LogFile, type OpenLog, type WriteFile } from "./log-file.ts";
import { MetricMeter } from "./metrics.ts";
import { tfFileVersion, tfScalars } from "./tfevents.ts";
import { TraceLog } from "./trace.ts";

/** Names of the logs inside a run folder. */
export const LOG_FILES = {
  /** One row of metrics per logged step, and one per evaluation. */
  metrics: "metrics.jsonl",
  /** One row per completion. */
  rollouts: "rollouts.jsonl",
  /** One row per question of an evaluation. */
  answers: "answers.jsonl",
  /** The model that was loaded, evaluations, warnings and verdicts on the run's health. */
  events: "events.jsonl",
  /** The rows of metrics.jsonl for TensorBoard. */
  tensorboard: "tb/events.out.tfevents.0000000000.aubade",
  /** The time of every step by phase, for ui.perfetto.dev. */
  trace: "trace.json",
} as const;

/** Folder of the TensorBoard events, which trackers import. */
export const TENSORBOARD_FOLDER = "tb";

/** The position of a run's logs, which a checkpoint stores. */
export interface LogPosition {
  /** Length of every log in bytes, by name. */
  bytes: Record<string, number>;
  /** Metrics of the steps since the last row. */
  pending: Record<string, (number | null)[]>;
}

/** Events of one session only: a resumed run must leave the logs of one never stopped. */
const NOT_LOGGED = new Set<RunEventKind>([
  ...(["folder", "data", "start", "device", "progress", "checkpoint", "end"] as const),
]);
/** Events of every session that are the same in all of them: the first one to save logs them. */
const LOGGED_ONCE = new Set<RunEventKind>([
  ...(["model", "rows_over_budget", "rows_unreadable"] as const),
]);

/** A watcher, told every step with its completions and with the row that ends with it. */
export interface StepWatcher {
  step(
    step: number,
    metrics: Readonly<Record<string, number>>,
    completions: readonly CompletionView[],
    row?: Readonly<Record<string, number>>,
  ): void;
  /** Raises when the run must not go on. */
  check(): void;
}

/** Which logs a run keeps, and how. */
export interface RunLogsOptions {
  open: OpenLog;
  rollouts: boolean;
  tensorboard: boolean;
  trace: boolean;
  /** True when rows have the names of other programs too. */
  aliases?: boolean;
  /** Writes the completions of logged steps as parquet; none are written when left out. */
  completions?: WriteFile;
  /** Told of every step; its failures are the run's. */
  watcher?: StepWatcher;
  /** Steps that one row of metrics covers. */
  loggingSteps: number;
  /** Seconds since 1970, for TensorBoard's clock. */
  now: () => number;
  /**
   * Asked before anything is written whether the folder is still this process's own; raises when not.
   */
  guard?: () => void;
  /** Told of logs that lack what a resumed run had written to them. */
  onMissing?: (name: string, bytes: number) => void;
  /** On resume, where the logs stood at the checkpoint; a log not named there is emptied. */
  resumeAt?: LogPosition;
}

/**
 * Writes what a run reports to its logs.
 *
 * Hand `listen` to the run's events. A failure to write (a full disk) is kept, since a listener
 * must not raise: the trainer asks with `check` after every step. `position` is what a
 * checkpoint stores so that a resumed run can cut every log back to that moment.
 */
export class RunLogs {
  readonly #logs = new Map<string, LogFile>();
  readonly #meter = new MetricMeter();
  readonly #options: RunLogsOptions;
  readonly #trace: TraceLog | undefined;
  /** Completions since the last step: those of the step that is under way. */
  #completions: CompletionView[] = [];
  #failure: unknown;

  constructor(options: RunLogsOptions) {
    this.#options = options;
    const names: string[] = [LOG_FILES.metrics, LOG_FILES.events];
    if (options.rollouts) names.push(LOG_FILES.rollouts, LOG_FILES.answers);
    if (options.tensorboard) names.push(LOG_FILES.tensorboard);
    if (options.trace) names.push(LOG_FILES.trace);
    for (const name of names) {
      const keep = options.resumeAt && (options.resumeAt.bytes[name] ?? 0);
      const log = options.open(name, keep);
      this.#logs.set(name, log);
      if (log.missing) options.onMissing?.(name, log.missing);
    }
    if (options.resumeAt) this.#meter.restore(options.resumeAt.pending);
    const board = this.#logs.get(LOG_FILES.tensorboard);
    if (board?.bytes === 0) board.append(tfFileVersion(options.now()));
    if (options.trace) this.#trace = new TraceLog(this.#logs.get(LOG_FILES.trace)!);
  }

  /** The listener for the run's events; never raises. */
  readonly listen = (event: RunEvent): void => {
    if (this.#failure !== undefined) return;
    try {
      if (!NOT_LOGGED.has(event.kind)) this.#options.guard?.();
      this.#write(event);
    } catch (cause) {
      this.#failure = cause;
    }
  };

  #write(event: RunEvent): void {
    if (event.kind === "step") return this.#step(event.data);
    if (event.kind === "span") return this.#span(event.data);
    if (event.kind === "answer") return this.#append(LOG_FILES.answers, event.data);
    if (event.kind === "rollout") {
      this.#completions.push(completionView(event.data));
      return this.#append(LOG_FILES.rollouts, event.data);
    }
    if (event.kind === "evaluation") this.#evaluation(event.data);
    const { kind, data } = event;
    if (NOT_LOGGED.has(kind) || (LOGGED_ONCE.has(kind) && this.#goesOn)) return;
    this.#append(LOG_FILES.events, { kind, ...data });
  }

  /** Adds a line to a log, where it is kept. */
  #append(name: string, line: object): void {
    const log = this.#logs.get(name);
    if (log) appendJsonLine(log, line);
  }

  /**
   * Tells whether the logs go on after a checkpoint: a run that was cut off before it starts anew.
   */
  get #goesOn(): boolean {
    return (this.#options.resumeAt?.bytes[LOG_FILES.events] ?? 0) > 0;
  }

  #step({ step, totalSteps, metrics: reported }: RunEvents["step"]): void {
    const { loggingSteps, completions: write, watcher } = this.#options;
    const completions = this.#completions;
    this.#completions = [];
    const metrics = { ...completionMetrics(completions), ...reported };
    this.#meter.add(metrics);
    const due = step % loggingSteps === 0 || step === totalSteps;
    const row = due ? this.#meter.take() : undefined;
    if (row !== undefined) this.#row(step, row);
    if (due && completions.length > 0) {
      write?.(completionsFile(step), completionsParquet(step, completions));
    }
    watcher?.step(step, metrics, completions, row);
  }

  #span({ name, step, startMs, durationMs }: RunEvents["span"]): void {
    const [startUs, durationUs] = [startMs * 1000, durationMs * 1000];
    this.#trace?.span({ name, startUs, durationUs, args: { step } });
  }

  #evaluation({ step, prefix, scores, failed, rewards }: RunEvents["evaluation"]): void {
    const measured = { ...scores, failed, ...rewards };
    const named = Object.entries(measured).map(([name, score]) => [`${prefix}/${name}`, score]);
    this.#row(step, Object.fromEntries(named) as Record<string, number>);
  }

  #row(step: number, own: Record<string, number>): void {
    const metrics = this.#options.aliases === true ? withAliases(own) : own;
    appendJsonLine(this.#logs.get(LOG_FILES.metrics)!, { step, ...metrics });
    this.#logs.get(LOG_FILES.tensorboard)?.append(tfScalars(this.#options.now(), step, metrics));
  }

  /**
   * @throws {CheckpointError} the first failure to write since the run began, or of the guard.
   * @throws {AubadeError} `health-stop` when the watcher asks for the run's end.
   */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#options.guard?.();
    this.#options.watcher?.check();
  }

  /** Makes all logs durable and says where they stand. */
  position(): LogPosition {
    if (this.#failure !== undefined) throw this.#failure;
    // A log that this session does not keep may be gone on with by a later one.
    const bytes: Record<string, number> = { ...this.#options.resumeAt?.bytes };
    for (const [name, log] of this.#logs) {
      log.flush();
      bytes[name] = log.bytes;
    }
    return { bytes, pending: this.#meter.pending() };
  }

  /** Closes all logs. */
  close(): void {
    try {
      if (this.#failure === undefined) this.#trace?.end();
    } catch {
      // The format allows the end to be missing, and another error may be on its way.
    }
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }
}
