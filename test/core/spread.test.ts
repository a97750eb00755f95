import { describe, expect, it } from "vitest";
import { spreadOf } from "../../src/core/spread.ts";

const SUM = 0.1 + 0.2;

describe("the spread of numbers", () => {
  it("of none and of one is level, without a deviation", () => {
    expect(spreadOf([])).toEqual({ count: 0, mean: null, std: null, level: true });
    expect(spreadOf([3])).toEqual({ count: 1, mean: 3, std: null, level: true });
  });

  it("of equal numbers is exactly 0, whatever their sum rounds to", () => {
    expect(spreadOf([0.84, 0.84, 0.84])).toEqual({ count: 3, mean: 0.84, std: 0, level: true });
  });

  it("is TRL's deviation, with n - 1", () => {
    const { mean, std, level } = spreadOf([1, 0.2, 0.2, 0]);
    expect(mean).toBeCloseTo(0.35, 15);
    expect(std).toBeCloseTo(0.4434711565, 10);
    expect(level).toBe(false);
  });

  // Level is what torch.isclose(torch.tensor(values, dtype=torch.float64).std(), zero) says.
  it.each([
    [[SUM, 0.3, 0.3, SUM], true],
    [[0.3, 0.3 + 1e-8], true],
    [[0.3, 0.3 + 3e-8], false],
    [[0, 0, 0, 1e-6], false],
    [[1, 0.999], false],
    [[-0, 0], true],
  ])("%j is level: %s", (values, level) => {
    expect(spreadOf(values).level).toBe(level);
  });

  it("minds the rounding of large sums, which 1e-8 does not cover", () => {
    expect(spreadOf([1e9 * SUM, 1e9 * 0.1 + 1e9 * 0.2, 1e9 * 0.3]).level).toBe(true);
    expect(spreadOf([1e9, 1e9 + 1]).level).toBe(false);
  });
});
