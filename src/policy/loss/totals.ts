import type { CommonLossSettings } from "./settings.ts";
import { topEntropyThreshold } from "./masks.ts";
import type { LossBatch, LossCompletion, StepTotals } from "./types.ts";

/** Returns the tokens of a completion that count: none where truncated completions are masked. */
export function countedLength(
  completion: LossCompletion,
  settings: Pick<CommonLossSettings, "mask_truncated_completions">,
): number {
  const { masked = false, truncated, length } = completion;
  return masked || (settings.mask_truncated_completions && truncated) ? 0 : length;
}

/**
 * Sums over the parts of an optimizer step, which every part's loss needs.
 *
 * Masked completions count as completions but not their tokens, as in TRL. With a
 * `top_entropy_quantile` below 1 every part needs its entropies, so the whole step is run forward
 * before the first loss.
 *
 * @param parts all batches of the step; @param maxCompletionLength `max_completion_length`.
 * @throws {RangeError} when entropies are asked for and missing.
 */
export function stepTotals(
  parts: readonly LossBatch[],
  settings: Pick<CommonLossSettings, "mask_truncated_completions" | "top_entropy_quantile">,
  maxCompletionLength: number,
): StepTotals {
  const chosen = settings.top_entropy_quantile < 1;
  const entropies: number[] = [];
  const totals: StepTotals = {
    completions: 0,
    tokens: 0,
    maxCompletionLength,
    entropyThreshold: -Infinity,
    entropyTokens: 0,
    samplingTokens: 0,
  };
  for (const { completions, entropy, sampling } of parts) {
    if (chosen && entropy === undefined) {
      throw new RangeError("top_entropy_quantile below 1 needs the entropies of all tokens.");
    }
    totals.completions += completions.length;
    for (const completion of completions) {
      const length = countedLength(completion, settings);
      totals.tokens += length;
      for (let t = completion.start; t < completion.start + length; t++) {
        if (chosen) entropies.push(entropy![t]!);
        if (sampling !== undefined && !Number.isNaN(sampling[t]!)) totals.samplingTokens++;
      }
    }
  }
  totals.entropyThreshold = topEntropyThreshold(entropies, settings.top_entropy_quantile);
  totals.entropyTokens = chosen
    ? entropies.filter((entropy) => entropy >= totals.entropyThreshold).length
    : totals.tokens;
  return totals;
}
