import { describe, expect, it } from "vitest";
import { tokenWeights } from "../../src/train/normaliser.ts";

/** Token losses of four completions of unequal length, as TRL has them: rows with a mask. */
const LOSSES = [[0.3, -1.2, 2], [0.7], [-0.4, 0.1, 0.9, 1.1, -2], [0.25, 0.5]];
const LENGTHS = LOSSES.map((row) => row.length);
const LIMIT = 8;

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/**
 * TRL `GRPOTrainer._compute_loss` for one batch per step, in float64.
 *
 * grpo: ((loss * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean();
 * bnpo: (loss * mask).sum() / mask.sum().clamp(min=1);
 * dr_grpo: (loss * mask).sum() / (rows * max_completion_length);
 * dapo: (loss * mask).sum() / num_items_in_batch, the tokens of the whole step.
 */
const TRL = {
  grpo: (rows: number[][]) =>
    sum(rows.map((row) => sum(row) / Math.max(1, row.length))) / rows.length,
  bnpo: (rows: number[][]) => sum(rows.flat()) / Math.max(1, rows.flat().length),
  dr_grpo: (rows: number[][]) => sum(rows.flat()) / (rows.length * LIMIT),
  dapo: (rows: number[][]) => sum(rows.flat()) / Math.max(1, rows.flat().length),
};

describe.each(Object.entries(TRL))("the weights of %s", (name, formula) => {
  const type = name as keyof typeof TRL;

  it("make the weighted sum TRL's loss", () => {
    const weights = tokenWeights(type, LENGTHS, LIMIT);
    const loss = sum(LOSSES.map((row, i) => weights[i]! * sum(row)));
    expect(loss).toBeCloseTo(formula(LOSSES), 14);
  });

  it("sum to 1 over the tokens of a step, for dr_grpo to the share of the limit", () => {
    const weights = tokenWeights(type, LENGTHS, LIMIT);
    const total = sum(weights.map((weight, i) => weight * LENGTHS[i]!));
    const share = sum(LENGTHS) / (LENGTHS.length * LIMIT);
    expect(total).toBeCloseTo(type === "dr_grpo" ? share : 1, 14);
  });

  it("stay finite for completions of no token", () => {
    for (const lengths of [
      [0, 0],
      [0, 3],
    ]) {
      expect(tokenWeights(type, lengths, LIMIT).every(Number.isFinite)).toBe(true);
    }
  });
});
