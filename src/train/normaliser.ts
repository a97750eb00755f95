import { LOSSES } from "./loss/losses.ts";
import type { TrainConfig } from "./schema.ts";

/**
 * Each completion's weight per token, so that the sum of weighted token losses is the step's loss.
 *
 * Every normaliser is over the whole optimizer step, so cutting a step into passes changes nothing;
 * the formulas are those of src/train/loss/.
 *
 * @param lengths tokens of every completion of the step.
 */
export function tokenWeights(
  lossType: TrainConfig["loss_type"],
  lengths: readonly number[],
  maxCompletionLength: number,
): number[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const totals = {
    completions: lengths.length,
    tokens,
    maxCompletionLength,
    entropyThreshold: -Infinity,
    entropyTokens: tokens,
    samplingTokens: 0,
  };
  return lengths.map((length) => LOSSES[lossType].weight(length, totals));
}
