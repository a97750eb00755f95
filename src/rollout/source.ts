import type { HeldFeatures } from "./features.ts";
import type { GenerationRequest, GenerationWatch, Rollout, SamplingOptions } from "./types.ts";

/**
 * Generates completions: the engine that trains (`Generator`), or something else that runs the same
 * weights, such as a remote worker.
 *
 * The log-probabilities that it reports are held against those of the training pass before the first
 * update of a step, so it must compute what the trained model computes.
 */
export interface RolloutSource {
  /**
   * Generates completions, in the order of the requests.
   *
   * @throws {DataError} of the requests; what it holds stays usable.
   */
  generate(
    requests: readonly GenerationRequest[],
    options: SamplingOptions,
    watch?: GenerationWatch,
  ): Promise<Rollout[][]>;
  /**
   * Checks before anything is generated that so many completions of a prompt can be; not checked
   * when left out.
   *
   * @throws {ConfigError} that says what fits.
   */
  checkRoom?(generations: number, maxNewTokens: number): void;
  /** Media features that lie on the training device; training passes encode media without. */
  readonly features?: HeldFeatures | undefined;
  /** Frees what it holds. */
  destroy(): void;
}
