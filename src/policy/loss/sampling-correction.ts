import type { CommonLossSettings } from "./settings.ts";

/** The correction of one completion for having been sampled from another distribution. */
export interface Correction {
  /** [length] factor of each token's policy term. */
  perToken: Float64Array;
  /** The one factor of all tokens in the sequence modes. */
  perCompletion: number | undefined;
}

/**
 * Ratios of rollout policy to sampling distribution, bounded: exp(old - sampling) per token, or
 * exp of its sum over the completion.
 *
 * The truncate modes clamp the ratio into [clip_min, clip_max]; the mask modes set it to 0 outside.
 * A NaN in `sampling` counts as no difference. The sum, not the mean, is what a sequence mode
 * bounds, so long completions leave the bounds easily.
 *
 * old, sampling: [tokens]; the completion's are those from `start` on.
 *
 * Source: TRL 1.16 `GRPOTrainer._generate_and_score_completions` (`vllm_importance_sampling_mode`).
 */
export function samplingCorrection(
  old: ArrayLike<number>,
  sampling: ArrayLike<number>,
  start: number,
  length: number,
  settings: CommonLossSettings,
): Correction {
  const mode = settings.importance_sampling_mode;
  const min = settings.importance_sampling_clip_min ?? -Infinity;
  const max = settings.importance_sampling_clip_max ?? Infinity;
  const bounded = (ratio: number) => {
    if (mode === "token_truncate" || mode === "sequence_truncate") {
      return Math.min(Math.max(ratio, min), max);
    }
    return ratio < min || ratio > max ? 0 : ratio;
  };
  const differences = Float64Array.from({ length }, (_, t) => {
    const difference = old[start + t]! - sampling[start + t]!;
    return Number.isNaN(difference) ? 0 : difference;
  });
  if (mode === "token_truncate" || mode === "token_mask") {
    return { perToken: differences.map((d) => bounded(Math.exp(d))), perCompletion: undefined };
  }
  const perCompletion = bounded(Math.exp(differences.reduce((sum, d) => sum + d, 0)));
  return { perToken: new Float64Array(length).fill(perCompletion), perCompletion };
}
