import type { StorageName } from "./storage-types.ts";

/** Scores of one benchmark: means between 0 and 1 with fixed denominators. */
export interface Scores {
  /** All questions together. */
  overall: number;
  /** One entry per category of questions, such as `see`, and per further measure, such as `format`. */
  [name: string]: number;
}

/** Scores by the name of their benchmark. */
export type Evaluations = Record<string, Scores>;

/** Something that a rule of the run's health found. */
export interface HealthFinding {
  /** Name of the rule in the section `health` of the configuration. */
  rule: string;
  level: "note" | "warn" | "stop";
  /** The fault, with its numbers, and what to do. */
  message: string;
  /** A passage that shows it. */
  example?: string;
}

/**
 * Evaluations in which something is taken away, to show what answers come from: the sound, the
 * picture (a flat grey one), or all media.
 */
export const CONTROLS = ["muted", "blank", "text_only"] as const;

/** The name of one of them. */
export type Control = (typeof CONTROLS)[number];

/** The record of a completion, with its row and its rewards. */
export interface CompletionRecord {
  /** The media of the row, as the data set names them. */
  media: string;
  /** The group of rows that the row is counted under, such as `see`. */
  kind: string;
  question?: string | undefined;
  /** The options of a choice, in the order of their letters. */
  options?: readonly string[] | undefined;
  /** The right answer. */
  answer: string;
  /** Further columns of the row, by the names of its data set. */
  columns?: Readonly<Record<string, unknown>>;
  /** The completion with every token kept but the end token that closed it. */
  text: string;
  /** True when an end token closed it within the limit. */
  finished: boolean;
  /** Weighted sum of the rewards; null when none applies or one failed, absent without rewards. */
  reward?: number | null;
  /** Each reward by name before its weight; null where it does not apply or failed. */
  rewards?: Readonly<Record<string, number | null>>;
  /** Why rewards failed, by name. */
  reward_errors?: Readonly<Record<string, string>>;
}

/** A completion of a training step: a line of rollouts.jsonl. */
export interface RolloutRecord extends CompletionRecord {
  step: number;
  /** Id of the row. */
  sample: string;
  /** Which draw of the row the group is. */
  draw: number;
  /** Place of the completion in its group. */
  completion: number;
  /** True when it holds the right answer, by the reader of answers; null where its row has none. */
  correct: boolean | null;
  /** True when no answer could be read in it. */
  unparsed: boolean;
  /** True when a rule of the run's health takes it out of the loss. */
  masked: boolean;
  advantage: number;
  /** Maximum of the probability that banned tokens held of one of its tokens. */
  banned_mass: number;
  /** Token ids, the end token included. */
  ids: readonly number[];
  /** Log-probability of every token under the policy, in nats. */
  log_probs: readonly number[];
}

/** An answer to a held-out question. */
export interface Answered extends CompletionRecord {
  /** Name of the benchmark. */
  benchmark: string;
  /** Name of the way in which it is asked: answers of one protocol may be compared. */
  protocol: string;
  step: number;
  when: "before" | "during" | "after";
  control: Control | null;
  /** Id of the row. */
  sample: string;
  /** Names that the question is counted under. */
  categories: readonly string[];
  /** Only for a question that could not be asked, which counts as wrong. */
  failed?: true;
  /** True when it has the full score. */
  correct: boolean;
  /** The score that the benchmark's scorer gives it, 0 to 1. */
  score: number;
}

/** A line of answers.jsonl; what else the scorer measures, such as `format`, stands by its name. */
export type AnswerRecord = Answered & { readonly [measure: string]: unknown };

/** The reports of a run, by kind of event: the contract between the trainer and its watchers. */
export interface RunEvents {
  /** The run folder is ready; the run goes on from the step of a checkpoint, or starts at 0. */
  folder: { folder: string; step: number };
  /** The rows to train on are read: how many, and the digest by which a resumed run knows them. */
  data: { rows: number; digest: string };
  /** The run is about to take its first step. */
  start: { step: number; totalSteps: number };
  /** An optimizer step is done; metrics under the names of `observe/metrics.ts`. */
  step: { step: number; totalSteps: number; metrics: Record<string, number> };
  /** A completion of a step is rewarded: one record for rollouts.jsonl. */
  rollout: RolloutRecord;
  /** A question of an evaluation is answered: one record for answers.jsonl. */
  answer: AnswerRecord;
  /** A benchmark is asked: intact, or under a control. */
  evaluation: {
    /** Name of the benchmark. */
    benchmark: string;
    /** The prefix of its metrics' names: `eval`, `eval_muted`, or `eval/NAME` of a list. */
    prefix: string;
    step: number;
    when: "before" | "during" | "after";
    control: Control | null;
    questions: number;
    /** Questions that could not be asked; each counts as wrong. */
    failed: number;
    scores: Scores;
    /** The run's rewards over the answers: by metric name, such as `reward` or `rewards/format/std`. */
    rewards: Record<string, number>;
  };
  /**
   * Part of something long is done, such as `evaluating`; rates are measured where they lack.
   * The unit `B` is bytes.
   */
  progress: {
    what: string;
    done: number;
    total: number;
    unit?: string;
    ratePerS?: number;
    leftS?: number;
    /** The step of which it is a part; none before and after training. */
    step?: number;
  };
  /** The weights are loaded: how many there are and train, and how frozen ones are stored. */
  model: {
    parameters: number;
    /** Weights and factors of adapters; a tied head is its embedding. */
    tensors: number;
    trained: number;
    storage: StorageName;
    /** Weights that the storage does not hold exactly. */
    inexact: number;
  };
  /** The device is open: its properties by name, for the record of the run. */
  device: Record<string, string>;
  /** A checkpoint is whole on disk. */
  checkpoint: { step: number; folder: string };
  /** A stretch of a step's work is over: what a trace draws. */
  span: {
    /** Such as `rollout`, `training pass`, `optimizer`. */
    name: string;
    step: number;
    /** Milliseconds since 1970, with fractions; never goes back within a session. */
    startMs: number;
    durationMs: number;
  };
  /** Other rules of the run's health fire than before; empty findings say that all is well. */
  health: {
    step: number;
    verdict: "healthy" | "warning" | "stop";
    findings: HealthFinding[];
  };
  /** Rows that the run leaves out since they do not fit, why, and of how many that were checked. */
  rows_over_budget: { rows: { row: string; message: string }[]; checked: number };
  /** Rows that the run leaves out since they cannot be read, why, and of how many checked. */
  rows_unreadable: { rows: { row: string; message: string }[]; checked: number };
  /** Something that the user should know and that stops nothing. */
  warning: { code: string; message: string };
  /** The run is over: all its steps, or a stop that the user asked for. */
  end: { step: number; stopped: boolean };
}

/** A kind of event that a run reports. */
export type RunEventKind = keyof RunEvents;

/** Something that happened during a run: its `kind` tells the type of its `data`. */
export type RunEvent = {
  [Kind in RunEventKind]: { readonly kind: Kind; readonly data: RunEvents[Kind] };
}[RunEventKind];

/** Takes events and hands them on: `Events`. */
export interface EventSink {
  emit<Kind extends RunEventKind>(kind: Kind, data: RunEvents[Kind]): void;
}

/** Reports one event of a run, its data checked by type. */
export function report<Kind extends RunEventKind>(
  events: EventSink,
  kind: Kind,
  data: RunEvents[Kind],
): void {
  events.emit(kind, data);
}

/** Does a stretch of a step's work and reports how long the host was at it, waits included. */
export async function reportSpan<T>(
  events: EventSink,
  name: string,
  step: number,
  work: () => T | Promise<T>,
): Promise<T> {
  const started = performance.now();
  const result = await work();
  const durationMs = performance.now() - started;
  report(events, "span", { name, step, startMs: performance.timeOrigin + started, durationMs });
  return result;
}

/** Reports how far a part of a step is; what takes less than a moment is not shown. */
export function reportInStep(
  events: EventSink,
  step: number,
  what: string,
  done: number,
  total: number,
  unit: string,
): void {
  report(events, "progress", { what: `step ${step}: ${what}`, done, total, unit, step });
}
