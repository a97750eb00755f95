import { filesIn, logsIn } from "#observe";
import { readText } from "#io";
import type { RunConfig } from "../config/schema.ts";
import type { Events } from "../core/events.ts";
import { joinPath } from "../io/path.ts";
import { HealthMonitor } from "../observe/health/monitor.ts";
import type { LogStore } from "../observe/log-file.ts";
import { LOG_FILES, type LogPosition, RunLogs, type StepWatcher } from "../observe/run-logs.ts";

/** Keeps logs as files in a run folder. */
export function folderLogs(folder: string): LogStore {
  return {
    open: logsIn(folder),
    write: filesIn(folder),
    read: (name) => readText(joinPath(folder, name)),
  };
}

/** Takes logs and keeps nothing, so that the rules of a run's health work without a folder. */
const NOWHERE: LogStore = {
  open() {
    let bytes = 0;
    return {
      get bytes() {
        return bytes;
      },
      append: (added) => void (bytes += added.length),
      flush() {},
      close() {},
    };
  },
  write() {},
  read: () => Promise.resolve(""),
};

/** Options of a logbook. */
export interface LogbookOptions {
  /** The store of the logs; none are kept when it is left out. */
  store: LogStore | undefined;
  /** Looks at every step after the rules of the run's health. */
  watcher: StepWatcher | undefined;
  /** Hears of verdicts as they change. */
  events: Events;
  /** The position of the logs at the checkpoint, for a run that is resumed. */
  resumeAt: LogPosition | undefined;
  /** The checkpoint that the run goes on from, so that its verdict follows from its logs. */
  checkpoint: string | undefined;
  /** Raises when the folder of the logs is no longer this process's own. */
  guard?: (() => void) | undefined;
  /** Told of logs that lack what a resumed run had written to them. */
  onMissing?: ((name: string, bytes: number) => void) | undefined;
}

/**
 * Opens the logs of a run with the rules of its health, as its configuration says.
 *
 * @throws {CheckpointError} `log-unwritable`, `log-short`.
 */
export async function openLogbook(config: RunConfig, options: LogbookOptions): Promise<RunLogs> {
  const { watcher, events, resumeAt, guard, onMissing } = options;
  const store = options.store ?? NOWHERE;
  const { task, train, output } = config;
  const health = new HealthMonitor({
    rules: config.health,
    facts: {
      ...{ task, beta: train.beta, promptsPerStep: train.prompts_per_step },
      updatesPerRollout:
        train.num_iterations * Math.min(train.num_minibatches, train.prompts_per_step),
      maskTruncated: train.mask_truncated_completions,
    },
    events,
    checkpoint: options.checkpoint,
    write: store.write,
  });
  const logs = new RunLogs({
    open: store.open,
    rollouts: output.rollouts,
    tensorboard: output.tensorboard,
    trace: output.trace,
    aliases: output.metric_aliases,
    ...(output.completions && { completions: store.write }),
    watcher: watcher === undefined ? health : both(health, watcher),
    loggingSteps: train.logging_steps,
    now: () => Date.now() / 1000,
    ...(guard && { guard }),
    ...(onMissing && { onMissing }),
    ...(resumeAt && { resumeAt }),
  });
  if (options.checkpoint !== undefined) {
    health.restore(await store.read(LOG_FILES.metrics), await store.read(LOG_FILES.events));
  }
  return logs;
}

function both(first: StepWatcher, second: StepWatcher): StepWatcher {
  return {
    step(...seen) {
      first.step(...seen);
      second.step(...seen);
    },
    check() {
      first.check();
      second.check();
    },
  };
}
