import type { LossResult } from "./types.ts";

/** Columns of the log-probability op: by target token, log-sum-exp, entropy. */
export const LOG_PROB_COLUMNS = 3;

/** Reads log-probabilities and entropies from the rows [rows, 3] of a forward pass, in float64. */
export function columnsOf(rows: Float32Array): { logp: Float64Array; entropy: Float64Array } {
  const column = (index: number) =>
    Float64Array.from(
      { length: rows.length / LOG_PROB_COLUMNS },
      (_, row) => rows[row * LOG_PROB_COLUMNS + index]!,
    );
  return { logp: column(0), entropy: column(2) };
}

/** Packs the gradient [rows, 2] that a backward pass starts from: by log-probability, by entropy; f32. */
export function gradientRows({ dLogp, dEntropy }: LossResult): Float32Array {
  return Float32Array.from({ length: 2 * dLogp.length }, (_, i) =>
    i % 2 === 0 ? dLogp[i / 2]! : (dEntropy?.[(i - 1) / 2] ?? 0),
  );
}
