import type { Events } from "../core/events.ts";
import type { Scores } from "../core/run-events.ts";

/** What an evaluation is given besides its configuration. */
export interface EvalOptions {
  /** Hears `progress`, `evaluation` and `warning`. */
  events: Events;
  /** Aborted when the user wants to stop; what is measured by then is not reported. */
  stop: AbortSignal;
}

/** What an evaluation found. */
export interface EvalResult {
  /** The denominator of every score that is not of one kind. */
  questions: number;
  /** Questions that failed; each counts as wrong. */
  failed: number;
  scores: Scores;
  /** Scores under each control that the configuration asks for. */
  controls: Partial<Record<"muted" | "blank", Scores>>;
  seconds: number;
}
