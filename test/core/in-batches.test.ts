import { describe, expect, it } from "vitest";
import { inBatches } from "../../src/core/in-batches.ts";

describe("batches of items in order", () => {
  const size = (value: number) => value;
  it.each([
    [[], 10, []],
    [[4, 6, 1], 10, [[4, 6], [1]]],
    [[11, 2, 12, 3, 7], 10, [[11], [2], [12], [3, 7]]],
    [[1, 2, 3], Infinity, [[1, 2, 3]]],
  ])("%j within %d", (items, limit, batches) => {
    expect(inBatches(items, size, limit)).toEqual(batches);
  });
});
