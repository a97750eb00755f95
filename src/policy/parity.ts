import { AubadeError } from "../core/errors.ts";
import type { Sample } from "../prompt/sample.ts";
import type { LossBatch } from "./loss/types.ts";
import type { PolicyTree } from "../rollout/types.ts";

/**
 * Limits on |rollout - training log-probability| before a batch's first update: mean and max of all
 * tokens, and the mean of one completion, whose sum may in any case be that of one token at the max.
 */
const LIMITS = { mean: 1e-5, max: 1e-3, completion: 1e-4 };

/** Names the media that a prompt has besides text. */
function modality({ visionRows, audioRows }: Sample): string {
  if (visionRows.length > 0) return audioRows.length > 0 ? "audio-video" : "vision";
  return audioRows.length > 0 ? "audio" : "text";
}

interface Sums {
  tokens: number;
  difference: number;
  ratio: number;
}

/** The token at which rollout and training are furthest apart. */
interface Worst {
  difference: number;
  place: string;
}

/**
 * The distance between the log-probabilities of rollout and training: one engine makes both, so before
 * an update only rounding may differ.
 */
export class Parity {
  #worst: Worst = { difference: 0, place: "" };
  /** The first completion beyond its own limit. */
  #adrift: string | undefined;
  readonly #all: Sums = { tokens: 0, difference: 0, ratio: 0 };
  readonly #byModality = new Map<string, Sums>();
  /** Completions seen of each sample: a tree may come in parts. */
  readonly #completions = new Map<Sample, number>();

  /** Adds the tokens of trees; `batch` has their columns in order. */
  add(trees: readonly PolicyTree[], { logp, old }: Pick<LossBatch, "logp" | "old">): void {
    let at = 0;
    for (const { sample, completions } of trees) {
      const name = modality(sample);
      const own = this.#byModality.get(name) ?? { tokens: 0, difference: 0, ratio: 0 };
      this.#byModality.set(name, own);
      const first = this.#completions.get(sample) ?? 0;
      this.#completions.set(sample, first + completions.length);
      for (const [number, { ids }] of completions.entries()) {
        const said = `${sample.id} (${name}), completion ${first + number}`;
        let total = 0;
        for (let token = 0; token < ids.length; token++, at++) {
          const [now, then] = [logp[at]!, old[at]!];
          const difference = Math.abs(now - then);
          total += difference;
          // NaN is worse than any number, and no number is worse than NaN.
          if (!(difference <= this.#worst.difference) && !Number.isNaN(this.#worst.difference)) {
            const place = `${said}, token ${token} (id ${ids[token]}): ${then.toFixed(4)} at rollout, ${now.toFixed(4)} in training`;
            this.#worst = { difference, place };
          }
          for (const sums of [this.#all, own]) {
            sums.tokens++;
            sums.difference += difference;
            sums.ratio += Math.exp(difference);
          }
        }
        if (!(total <= Math.max(LIMITS.max, LIMITS.completion * ids.length))) {
          this.#adrift ??= `${said} is off by ${short(total / ids.length)} a token (limit ${LIMITS.completion})`;
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
      "sampling/sampling_logp_difference/max": this.#worst.difference,
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
   * The mean is limited over the tokens of every modality and of every completion, so that a fault of
   * a few rows, or of one, does not drown in the many.
   *
   * @throws {AubadeError} `rollout-mismatch` above the limits of the tier, with the mean of every
   *   modality and the token that is furthest off.
   */
  check(): void {
    const mean = meanOf(this.#all);
    const { difference, place } = this.#worst;
    const means = [...this.#byModality].map(([name, sums]) => [name, meanOf(sums)] as const);
    const within = means.every(([, own]) => own <= LIMITS.mean) && difference <= LIMITS.max;
    if (within && this.#adrift === undefined) return;
    const kinds = means.map(([name, own]) => `${name} ${short(own)}`);
    const adrift = this.#adrift === undefined ? "" : `; ${this.#adrift}`;
    throw new AubadeError(
      "rollout-mismatch",
      `rollout and training disagree on log-probabilities: mean ${short(mean)} (limit ${LIMITS.mean}; ${kinds.join(", ")}), max ${short(difference)} (limit ${LIMITS.max}), worst at ${place}${adrift}.`,
      { hint: "This is a defect of aubade or of the driver: run npm test on this adapter." },
    );
  }
}

function meanOf({ difference, tokens }: Sums): number {
  return difference / Math.max(1, tokens);
}

function short(value: number): string {
  return value.toExponential(1);
}
