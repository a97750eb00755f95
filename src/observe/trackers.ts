import type { Tracker } from "./schema.ts";

/** A run that trackers can import. */
export interface TrackedRun {
  /** Folder of the TensorBoard events. */
  events: string;
  /** Name of the run. */
  name: string;
}

const PROJECT = "aubade";

/** Returns a word as a POSIX shell takes it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Returns a string literal of Python. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}

const COMMANDS: Record<Tracker, (run: TrackedRun) => string> = {
  // wandb removed --sync-tensorboard after 0.29.0.
  wandb: ({ events, name }) =>
    `pip install "wandb<=0.29.0" tensorboard && wandb sync --sync-tensorboard --project ${PROJECT} --id ${shellWord(name)} ${shellWord(events)}`,
  // import_csv would cut names to ten characters; a project must be new for an import.
  trackio: ({ events, name }) =>
    `pip install "trackio[tensorboard]" && python -c ${shellWord(`import trackio; trackio.import_tf_events(${pythonText(events)}, project=${pythonText(name)}, name=${pythonText(PROJECT)})`)}`,
};

/**
 * Returns the command that takes a finished run up into each tracker, one line each.
 *
 * Source: wandb 0.29.0 `wandb sync --help`; trackio 0.43.0 `trackio.import_tf_events`.
 */
export function trackerCommands(trackers: readonly Tracker[], run: TrackedRun): string[] {
  return trackers.map((tracker) => COMMANDS[tracker](run));
}
