import type { Events } from "../core/events.ts";
import type { Scores } from "../core/run-events.ts";

/** What an evaluation is given besides its configuration. */
export interface EvalOptions {
  /** Hears `progress`, `answer`, `evaluation` and `warning`. */
  events: Events;
  /** Aborted when the user wants to stop; what is measured by then is not reported. */
  stop: AbortSignal;
  /** URL of the configuration's file, beside which modules are looked for. */
  configUrl?: string;
}

/** What one benchmark found. */
export interface BenchmarkResult {
  /** The denominator of every score that is not of one category. */
  questions: number;
  /** Questions that failed; each counts as wrong. */
  failed: number;
  scores: Scores;
  /** Scores under each control that the benchmark asks for. */
  controls: Partial<Record<"muted" | "blank", Scores>>;
}

/** What an evaluation found. */
export interface EvalResult {
  /** By name, in the order of the configuration; empty for an evaluation that was stopped. */
  benchmarks: Record<string, BenchmarkResult>;
  seconds: number;
}
