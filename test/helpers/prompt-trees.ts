import { Random } from "../../src/core/random.ts";

/** One packed prompt with its completions, or a window in which every row sees every row. */
export type Packed = { prompt: number; branches: readonly number[] } | { window: number };

/** Index tables of packed rows for the attention kernels. */
export interface PackedTables {
  rows: number;
  /** [rows, 4]: the two ranges of keys that a row sees. */
  segments: Uint32Array;
  /** [rows, 2]: the range of rows that see a key. */
  keyRanges: Uint32Array;
  /** Number of (row, key) pairs that are seen. */
  pairs: number;
}

/** Lays packed trees and windows one after another and describes who sees whom. */
export function packTables(packed: readonly Packed[]): PackedTables {
  const segments: number[] = [];
  const keyRanges: number[] = [];
  let start = 0;
  for (const item of packed) {
    if ("window" in item) {
      const end = start + item.window;
      for (let i = start; i < end; i++) {
        segments.push(start, end, 0, 0);
        keyRanges.push(start, end);
      }
      start = end;
      continue;
    }
    const prefixEnd = start + item.prompt;
    const treeEnd = prefixEnd + item.branches.reduce((sum, length) => sum + length, 0);
    for (let i = start; i < prefixEnd; i++) {
      segments.push(start, start, start, i + 1);
      keyRanges.push(i, treeEnd);
    }
    let branch = prefixEnd;
    for (const length of item.branches) {
      for (let i = branch; i < branch + length; i++) {
        segments.push(start, prefixEnd, branch, i + 1);
        keyRanges.push(i, branch + length);
      }
      branch += length;
    }
    start = treeEnd;
  }
  let pairs = 0;
  for (let i = 0; i < segments.length; i += 2) pairs += segments[i + 1]! - segments[i]!;
  return {
    rows: start,
    segments: Uint32Array.from(segments),
    keyRanges: Uint32Array.from(keyRanges),
    pairs,
  };
}

/** Random trees and windows, a pure function of the seed; includes empty branches and lone rows. */
export function randomPacked(seed: number, items: number, longest: number): Packed[] {
  const random = new Random(seed, "data");
  return Array.from({ length: items }, () => {
    if (random.integer(4) === 0) return { window: 1 + random.integer(longest) };
    const branches = Array.from({ length: random.integer(5) }, () => random.integer(longest));
    return { prompt: 1 + random.integer(longest), branches };
  });
}
