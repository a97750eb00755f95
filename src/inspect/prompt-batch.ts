import { DataError } from "../core/errors.ts";
import type { Sample } from "../prompt/sample.ts";

/** Value that transformers gives to the positions of padding. */
const PADDED_POSITION = 1;

/** A sound as a Hugging Face processor returns it: padded to the length of its tower. */
export interface PaddedSound {
  /** Mel frames of the clip itself. */
  frames: number;
  /** Columns with the padding. */
  columns: number;
  /** Makes [melBins, columns] f32. */
  data: () => Float32Array;
}

/** Prompts as the rectangle of tokens that transformers makes of them: B rows of S tokens. */
export interface PromptBatch {
  /** One sample per row; its tokens stand together in the row. */
  samples: readonly Sample[];
  /** S. */
  length: number;
  /** Column of the first token of every row. */
  starts: readonly number[];
  /** [B, S] ids; at padding what the caller gave. */
  inputIds: Int32Array;
  /** [B, S] the id that a token is to be, or -100. */
  labels?: Int32Array | undefined;
  /** Seconds of a temporal slice of every video, in order. */
  secondsPerGrid: readonly number[];
  /** Every sound and soundtrack, in order. */
  sounds: readonly PaddedSound[];
}

/** [B, S] 1 for tokens, 0 for padding. */
export function attentionMask({ samples, length, starts }: PromptBatch): Int32Array {
  const mask = new Int32Array(samples.length * length);
  samples.forEach(({ inputIds }, row) => {
    const first = row * length + starts[row]!;
    mask.fill(1, first, first + inputIds.length);
  });
  return mask;
}

/** [axes, B, S] positions; 1 at padding, as transformers has it. */
export function batchPositions(batch: PromptBatch, axes: number): Int32Array {
  const { samples, length, starts } = batch;
  const all = new Int32Array(axes * samples.length * length).fill(PADDED_POSITION);
  samples.forEach(({ positions, inputIds }, row) => {
    const count = inputIds.length;
    for (let axis = 0; axis < axes; axis++) {
      const part = positions.subarray(axis * count, (axis + 1) * count);
      all.set(part, (axis * samples.length + row) * length + starts[row]!);
    }
  });
  return all;
}

/** [tokens, width] rows of the packed samples as [B, S, width], zeros at padding. */
export function spreadRows(batch: PromptBatch, rows: Float32Array, width: number): Float32Array {
  const { samples, length, starts } = batch;
  if (samples.length === 1 && samples[0]!.inputIds.length === length) return rows;
  const all = new Float32Array(samples.length * length * width);
  let at = 0;
  samples.forEach(({ inputIds }, row) => {
    const part = rows.subarray(at * width, (at + inputIds.length) * width);
    all.set(part, (row * length + starts[row]!) * width);
    at += inputIds.length;
  });
  return all;
}

/**
 * Labels aligned with the ids as targets per sample: for each token the id that follows it, or -100.
 *
 * @throws {DataError} `bad-labels` when there are none, or one stands at padding or at the first token
 *   of a row, which no token predicts.
 */
export function shiftedLabels({ samples, length, starts, labels }: PromptBatch): Int32Array[] {
  if (labels === undefined || labels.every((label) => label === -100)) {
    const rows = samples.map(({ id: row }) => row).join(", ");
    throw new DataError("bad-labels", `${rows}: there is no label, and so no loss.`, {
      hint: "Give labels beside input_ids: the ids that are to be predicted, -100 elsewhere.",
    });
  }
  return samples.map(({ id: row, inputIds }, i) => {
    const first = starts[i]!;
    const given = labels.subarray(i * length, (i + 1) * length);
    const bad = given.findIndex(
      (label, at) => label !== -100 && (at <= first || at >= first + inputIds.length),
    );
    if (bad >= 0) {
      const what = bad === first ? "the first token, which nothing predicts" : "padding";
      throw new DataError("bad-labels", `${row}: label ${bad} stands at ${what}.`, {
        hint: "Labels are aligned with input_ids; -100 marks what is not to be predicted.",
      });
    }
    return Int32Array.from(inputIds, (_, t) =>
      t + 1 < inputIds.length ? given[first + t + 1]! : -100,
    );
  });
}
