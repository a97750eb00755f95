import type { TrainConfig } from "./schema.ts";

/**
 * Each completion's weight per token, so that the sum of weighted token losses is the step's loss.
 *
 * Every normaliser is over the whole optimizer step, so cutting a step into passes changes nothing;
 * TRL's `grpo` and `bnpo` are over the local batch instead, which is the same for one batch a step.
 * grpo: 1 / (completions * own length); bnpo and dapo: 1 / tokens of the step; dr_grpo:
 * 1 / (completions * maxCompletionLength). Source: TRL `GRPOTrainer._compute_loss`.
 *
 * @param lengths tokens of every completion of the step.
 */
export function tokenWeights(
  lossType: TrainConfig["loss_type"],
  lengths: readonly number[],
  maxCompletionLength: number,
): number[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  switch (lossType) {
    case "grpo":
      return lengths.map((length) => 1 / (lengths.length * Math.max(1, length)));
    case "bnpo":
    case "dapo":
      return lengths.map(() => 1 / Math.max(1, tokens));
    case "dr_grpo":
      return lengths.map(() => 1 / (lengths.length * maxCompletionLength));
  }
}
