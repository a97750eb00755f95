import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { computeAdvantages } from "../../src/train/advantages.ts";

const rounded = (values: Float64Array): number[] => [...values].map((v) => Number(v.toFixed(6)));

describe("advantages", () => {
  // Numbers of TRL's own code at f2cd57710 in float64.
  it("equals TRL on the fixture, for all three scalings", () => {
    const rewards = [1, 0.2, 0.2, 0];
    const group = computeAdvantages(rewards, 4, "group");
    expect(rounded(group.advantages)).toEqual([1.465379, -0.338164, -0.338164, -0.78905]);
    expect(rounded(computeAdvantages(rewards, 4, "none").advantages)).toEqual([
      0.65, -0.15, -0.15, -0.35,
    ]);
    const two = computeAdvantages([...rewards, 0.2, 0.2, 0.2, 0.2], 4, "batch");
    expect(rounded(two.advantages)).toEqual([
      2.157403, -0.497862, -0.497862, -1.161679, 0, 0, 0, 0,
    ]);
    expect(two.zeroStdFraction).toBe(0.5);
    expect(two.groupMean[1]).toBe(0.2);
  });

  it("gives exactly 0 for equal rewards that no sum represents", () => {
    for (const scaling of ["group", "batch", "none"] as const) {
      const { advantages, zeroStdFraction } = computeAdvantages(
        [0.84, 0.84, 0.84, 0.84, 0.84, 0.84, 0.84, 0.84, 0, 1, 0, 1, 0, 1, 0, 1],
        8,
        scaling,
      );
      expect([...advantages.subarray(0, 8)].every((value) => Object.is(value, 0))).toBe(true);
      expect(advantages[9]).toBeGreaterThan(0);
      expect(zeroStdFraction).toBe(0.5);
    }
  });

  it("leaves out rewards that do not apply", () => {
    const { advantages, groupMean } = computeAdvantages([1, NaN, 0, 0.5], 4, "none");
    expect([...advantages]).toEqual([0.5, 0, -0.5, 0]);
    expect(groupMean[0]).toBe(0.5);
    const lonely = computeAdvantages([1, NaN, NaN, NaN, NaN], 5, "group");
    expect([...lonely.advantages]).toEqual([0, 0, 0, 0, 0]);
    expect(lonely.zeroStdFraction).toBe(1);
  });

  it("sums to 0 in every group and keeps the order of the rewards", () => {
    const reward = fc.double({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(reward, { minLength: 4, maxLength: 4 }),
        fc.array(reward, { minLength: 4, maxLength: 4 }),
        fc.constantFrom("group", "batch", "none"),
        (a, b, scaling) => {
          const rewards = [...a, ...b];
          const { advantages } = computeAdvantages(rewards, 4, scaling as "group");
          for (const start of [0, 4]) {
            const own = advantages.subarray(start, start + 4);
            expect(Math.abs(own.reduce((sum, value) => sum + value, 0))).toBeLessThan(1e-9);
            for (let i = 0; i < 3; i++) {
              if (rewards[start + i]! < rewards[start + i + 1]!) {
                expect(own[i]!).toBeLessThanOrEqual(own[i + 1]!);
              }
            }
          }
        },
      ),
    );
  });

  it("refuses what is not whole groups", () => {
    expect(() => computeAdvantages([1, 2, 3], 2, "group")).toThrow(RangeError);
    expect(() => computeAdvantages([1], 1, "group")).toThrow(RangeError);
  });
});
