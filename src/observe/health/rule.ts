import type { CompletionView } from "../completions.ts";
import type { RuleName } from "../schema.ts";
import { quoted } from "../../core/quoted.ts";

/** The settings of a run by which its health is judged. */
export interface HealthFacts {
  task: "grpo" | "sft";
  /** Weight of the KL term. */
  beta: number;
  /** Optimizer steps on each batch of rollouts: iterations x minibatches. */
  updatesPerRollout: number;
  promptsPerStep: number;
  /** True when completions that were cut are no part of the loss. */
  maskTruncated?: boolean;
}

/** The view that a rule has of a step. */
export interface HealthContext {
  step: number;
  /** The step's metrics, those that follow from its completions included. */
  metrics: Readonly<Record<string, number>>;
  completions: readonly CompletionView[];
  /** The rows of metrics.jsonl up to this step, evaluations left out. */
  rows: readonly Readonly<Record<string, number | null>>[];
  facts: HealthFacts;
  /** The newest checkpoint of the run, if it has one. */
  checkpoint?: string | undefined;
}

/** The finding of a rule: one sentence or two with their numbers, and a passage that shows it. */
export interface Finding {
  message: string;
  example?: string;
}

/** A rule of a run's health. */
export interface HealthRule {
  name: RuleName;
  /** The time to look: at every step, or at the history with every row of the log. */
  every: "step" | "row";
  /** Undefined where nothing is wrong, or where it cannot be told. */
  check: (context: HealthContext, threshold: number) => Finding | undefined;
}

/** Returns a share as whole percent. */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** Returns a number short enough for a sentence. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** Returns the values of a metric in rows, where it was measured. */
export function valuesOf(rows: HealthContext["rows"], name: string): number[] {
  return rows.flatMap((row) => (typeof row[name] === "number" ? [row[name]] : []));
}

/** Returns the mean of values; NaN of none. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const EXAMPLE_LENGTH = 120;

/** Returns a text on one line, cut, with control characters escaped. */
export function shownText(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return quoted(line, EXAMPLE_LENGTH);
}

/** Returns a completion as an example, with its place. */
export function exampleOf({ text, sample, completion }: CompletionView): string {
  return `${sample || "row"}, completion ${completion}: ${shownText(text)}`;
}
