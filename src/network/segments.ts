import { Extent } from "../graph/extent.ts";
import type { Graph } from "../graph/graph.ts";
import type { AttentionSegments } from "../ops/attention.ts";

/** Attention tables on the host: what a plan's segment inputs are filled with. */
export interface SegmentTables {
  /** [rows, 4] u32: two key ranges per row. */
  segments: Uint32Array;
  /** [keys, 2] u32: the row range that sees each key. */
  keyRanges: Uint32Array;
  /** Query-key pairs, for the FLOP counters. */
  pairs: number;
}

/** Declares the two inputs of an attention's segment tables under a common prefix. */
export function segmentInputs(graph: Graph, prefix: string, rows: Extent): AttentionSegments {
  return {
    segments: graph.input(`${prefix}.segments`, rows, 4, "u32"),
    keyRanges: graph.input(`${prefix}.keyRanges`, rows, 2, "u32"),
  };
}

/**
 * Tables of bidirectional attention inside consecutive segments (windows, slices, audio chunks).
 *
 * @param bounds segment borders in rows: starts with 0, ends with the number of rows.
 */
export function blockSegments(bounds: ArrayLike<number>): SegmentTables {
  const rows = bounds[bounds.length - 1] ?? 0;
  const segments = new Uint32Array(rows * 4);
  const keyRanges = new Uint32Array(rows * 2);
  let pairs = 0;
  for (let i = 0; i + 1 < bounds.length; i++) {
    const [start, end] = [bounds[i]!, bounds[i + 1]!];
    pairs += (end - start) ** 2;
    for (let row = start; row < end; row++) {
      segments.set([start, end, 0, 0], row * 4);
      keyRanges.set([start, end], row * 2);
    }
  }
  return { segments, keyRanges, pairs };
}

/** One prompt and the branches that continue it, each by its number of tokens. */
export interface TreeShape {
  prompt: number;
  branches: readonly number[];
}

/**
 * Tables of causal attention in packed prompt trees: a branch sees its prompt and itself.
 *
 * Rows are packed tree by tree, prompt first, then the branches; causality is by row index. The rows
 * that see a prompt key are the rest of the prompt and all branches, which are contiguous.
 */
export function treeSegments(trees: readonly TreeShape[]): SegmentTables {
  const rows = trees.reduce(
    (sum, { prompt, branches }) => sum + prompt + branches.reduce((a, b) => a + b, 0),
    0,
  );
  const segments = new Uint32Array(rows * 4);
  const keyRanges = new Uint32Array(rows * 2);
  let pairs = 0;
  let row = 0;
  for (const { prompt, branches } of trees) {
    const start = row;
    const branchStart = start + prompt;
    const end = branchStart + branches.reduce((a, b) => a + b, 0);
    for (; row < branchStart; row++) {
      segments.set([start, start, start, row + 1], row * 4);
      keyRanges.set([row, end], row * 2);
      pairs += row + 1 - start;
    }
    for (const length of branches) {
      const first = row;
      for (; row < first + length; row++) {
        segments.set([start, branchStart, first, row + 1], row * 4);
        keyRanges.set([row, first + length], row * 2);
        pairs += prompt + row + 1 - first;
      }
    }
  }
  return { segments, keyRanges, pairs };
}
