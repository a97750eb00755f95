import { AubadeError } from "../core/errors.ts";
import type { Sample } from "../models/process/sample.ts";
import type { LossBatch } from "./loss/types.ts";
import type { PolicyTree } from "./policy-trees.ts";

/** Limits on |rollout - training log-probability|: mean and max, before a batch's first update. */
const LIMITS = { mean: 1e-5, max: 1e-3 };

/** What a prompt holds besides text. */
function modality({ visionRows, audioRows }: Sample): string {
  if (visionRows.length > 0) return audioRows.length > 0 ? "audio-video" : "vision";
  return audioRows.length > 0 ? "audio" : "text";
}

interface Sums {
  tokens: number;
  difference: number;
  ratio: number;
}

/**
 * How far the log-probabilities of rollout and training are apart: one engine makes both, so before
 * an update only rounding may differ.
 */
export class Parity {
  #worst = 0;
  readonly #all: Sums = { tokens: 0, difference: 0, ratio: 0 };
  readonly #byModality = new Map<string, Sums>();

  /** Adds the tokens of trees; `batch` has their columns in order. */
  add(trees: readonly PolicyTree[], { logp, old }: Pick<LossBatch, "logp" | "old">): void {
    let at = 0;
    for (const { sample, completions } of trees) {
      const name = modality(sample);
      const own = this.#byModality.get(name) ?? { tokens: 0, difference: 0, ratio: 0 };
      this.#byModality.set(name, own);
      const end = at + completions.reduce((sum, { ids }) => sum + ids.length, 0);
      for (; at < end; at++) {
        const difference = Math.abs(logp[at]! - old[at]!);
        this.#worst = Math.max(this.#worst, difference);
        for (const sums of [this.#all, own]) {
          sums.tokens++;
          sums.difference += difference;
          sums.ratio += Math.exp(difference);
        }
      }
    }
  }

  /**
   * NeMo-RL's `token_mult_prob_error`, the mean of exp|difference|, over all tokens and by modality,
   * and the difference itself under TRL's names.
   */
  metrics(): Record<string, number> {
    const { tokens, difference, ratio } = this.#all;
    return {
      "sampling/sampling_logp_difference/mean": difference / Math.max(1, tokens),
      "sampling/sampling_logp_difference/max": this.#worst,
      token_mult_prob_error: ratio / Math.max(1, tokens),
      ...Object.fromEntries(
        [...this.#byModality].map(([name, sums]) => [
          `token_mult_prob_error/${name}`,
          sums.ratio / Math.max(1, sums.tokens),
        ]),
      ),
    };
  }

  /**
   * Law 4: what the rollout reported is what training recomputes.
   *
   * @throws {AubadeError} `rollout-mismatch` above the limits of the tier.
   */
  check(): void {
    const mean = this.#all.difference / Math.max(1, this.#all.tokens);
    if (mean <= LIMITS.mean && this.#worst <= LIMITS.max) return;
    throw new AubadeError(
      "rollout-mismatch",
      `rollout and training disagree on log-probabilities: mean ${mean.toExponential(1)} (limit ${LIMITS.mean}), max ${this.#worst.toExponential(1)} (limit ${LIMITS.max}).`,
      { hint: "This is a defect of aubade or of the driver: run npm test on this adapter." },
    );
  }
}
