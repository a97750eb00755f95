import type { PolicyTerms } from "./formula.ts";
import type { LossResult, StepTotals } from "./types.ts";

const isMinimum = (name: string) => /[_/]min$/.test(name);
const isMaximum = (name: string) => /[_/]max$/.test(name);

/** Minimum or maximum of two values, of which a NaN says that nothing was measured. */
function extreme(name: string, a: number, b: number): number {
  if (Number.isNaN(a)) return b;
  if (Number.isNaN(b)) return a;
  return isMinimum(name) ? Math.min(a, b) : Math.max(a, b);
}

/**
 * Collects the metrics of a part of a step.
 *
 * Means are over the step's tokens or completions, never over products of the two, so that a value
 * of a completion counts once and parts of a step add up to its mean.
 */
export class LossMetrics {
  readonly values: Record<string, number> = {};
  readonly #totals: StepTotals;

  /** @param totals sums of the whole step. */
  constructor(totals: StepTotals) {
    this.#totals = totals;
  }

  /** Adds a share to a metric that is a sum over the parts of a step. */
  add(name: string, share: number): void {
    this.values[name] = (this.values[name] ?? 0) + share;
  }

  /** Adds the sum of a value over tokens to its mean over the step's tokens. */
  addTokens(name: string, sum: number): void {
    this.add(name, sum / Math.max(1, this.#totals.tokens));
  }

  /** Adds the value of one completion to its mean over the step's completions. */
  addCompletion(name: string, value: number): void {
    this.add(name, value / this.#totals.completions);
  }

  /** Offers a value to a metric whose name ends in min or max. */
  offer(name: string, value: number): void {
    this.values[name] = extreme(name, this.values[name] ?? NaN, value);
  }

  /** Files what a loss measured on one completion. */
  addTerms({ perToken = {}, perCompletion = {}, extremes = {} }: PolicyTerms): void {
    for (const [name, values] of Object.entries(perToken)) {
      const sum = values.reduce((total, value) => total + value, 0);
      this.addTokens(name, sum);
      // 0 / 0 where a completion is masked: it is left out of the extremes, as in TRL.
      if (name in extremes) this.offer(extremes[name]!, sum / values.length);
    }
    for (const [name, value] of Object.entries(perCompletion)) {
      this.addCompletion(name, value);
      if (name in extremes) this.offer(extremes[name]!, value);
    }
  }
}

/**
 * Returns the result of a step from those of its parts, in their order: losses and shares add,
 * extremes of extremes remain, gradients follow each other.
 */
export function combineResults(parts: readonly LossResult[]): LossResult {
  const metrics: Record<string, number> = {};
  for (const [name, value] of parts.flatMap((part) => Object.entries(part.metrics))) {
    const before = metrics[name];
    if (before === undefined) metrics[name] = value;
    else if (isMinimum(name) || isMaximum(name)) metrics[name] = extreme(name, before, value);
    else metrics[name] = before + value;
  }
  const joined = (of: (part: LossResult) => Float64Array) =>
    Float64Array.from(parts.flatMap((part) => [...of(part)]));
  return {
    loss: parts.reduce((sum, { loss }) => sum + loss, 0),
    keptEntropy: parts.reduce((sum, { keptEntropy }) => sum + keptEntropy, 0),
    dLogp: joined(({ dLogp }) => dLogp),
    ...(parts.some(({ dEntropy }) => dEntropy !== undefined) && {
      dEntropy: joined(({ dEntropy }) => dEntropy!),
    }),
    metrics,
  };
}
