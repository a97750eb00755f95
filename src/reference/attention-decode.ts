import { attention } from "./attention.ts";

/** Tensors and sizes of one decode step; shapes as `attentionDecodeKernel` has them. */
export interface DecodeCase {
  /** [rows, heads, headDim] */
  q: Float64Array;
  /** [prefix rows, kvHeads, headDim] */
  prefixK: Float64Array;
  prefixV: Float64Array;
  /** [rows, capacity, kvHeads, headDim] */
  suffixK: Float64Array;
  suffixV: Float64Array;
  /** [rows, 2]: the branch's prefix rows [start, end). */
  table: Uint32Array;
  heads: number;
  kvHeads: number;
  headDim: number;
  capacity: number;
  scale: number;
  /** The current step; suffix rows 0 .. step are valid. */
  step: number;
}

/**
 * Attention of one new row per branch: plain attention over its prefix rows, then its suffix rows.
 *
 * @returns o: [rows, heads, headDim].
 */
export function attentionDecode(c: DecodeCase): Float64Array {
  const width = c.kvHeads * c.headDim;
  const wide = c.heads * c.headDim;
  const o = new Float64Array(c.q.length);
  for (let row = 0; row < c.table.length / 2; row++) {
    const [start, end] = [c.table[row * 2]!, c.table[row * 2 + 1]!];
    const first = row * c.capacity * width;
    const join = (prefix: Float64Array, suffix: Float64Array) =>
      Float64Array.from([
        ...prefix.subarray(start * width, end * width),
        ...suffix.subarray(first, first + (c.step + 1) * width),
      ]);
    const one = attention({
      ...c,
      q: c.q.subarray(row * wide, (row + 1) * wide),
      k: join(c.prefixK, c.suffixK),
      v: join(c.prefixV, c.suffixV),
      segments: Uint32Array.of(0, end - start + c.step + 1, 0, 0),
    });
    o.set(one.o, row * wide);
  }
  return o;
}
