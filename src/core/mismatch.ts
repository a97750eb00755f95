/** Sums of what rollout and training say of the same tokens. */
interface Sums {
  tokens: number;
  /** Sum of |difference|, in nats. */
  distance: number;
  /** Sum of exp |difference|. */
  ratio: number;
  worst: number;
}

const EMPTY: Sums = { tokens: 0, distance: 0, ratio: 0, worst: 0 };

/**
 * Compares the log-probabilities that a rollout reported with those that training recomputes, over
 * all tokens of a step and apart for every kind of row, so that a fault of one modality shows.
 *
 * Numerics: float64. Source: NeMo-RL `token_mult_prob_error`; TRL `sampling_logp_difference`.
 */
export class MismatchMeter {
  readonly #all: Sums = { ...EMPTY };
  readonly #kinds = new Map<string, Sums>();

  /**
   * Adds the tokens of a completion or of a group.
   *
   * @param kind - what its row asks for, such as `see` or `hear`, or the media that it has.
   * @param rollout - log-probabilities as the rollout reported them, in nats.
   * @param training - the same tokens' as training computes them, before the first update.
   */
  add(kind: string, rollout: ArrayLike<number>, training: ArrayLike<number>): void {
    const own = this.#kinds.get(kind) ?? { ...EMPTY };
    this.#kinds.set(kind, own);
    for (let at = 0; at < rollout.length; at++) {
      const distance = Math.abs(rollout[at]! - training[at]!);
      for (const sums of [this.#all, own]) {
        sums.tokens++;
        sums.distance += distance;
        sums.ratio += Math.exp(distance);
        sums.worst = Math.max(sums.worst, distance);
      }
    }
  }

  /** The metrics of all tokens, and of each kind where there are several; none without tokens. */
  metrics(): Record<string, number> {
    if (this.#all.tokens === 0) return {};
    const metrics: Record<string, number> = {
      "sampling/sampling_logp_difference/mean": this.#all.distance / this.#all.tokens,
      "sampling/sampling_logp_difference/max": this.#all.worst,
      token_mult_prob_error: this.#all.ratio / this.#all.tokens,
    };
    if (this.#kinds.size < 2) return metrics;
    for (const [kind, { tokens, ratio }] of this.#kinds) {
      if (tokens > 0) metrics[`token_mult_prob_error/${kind}`] = ratio / tokens;
    }
    return metrics;
  }
}
