import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { computeAdvantages, type AdvantageEstimator } from "../../src/policy/advantages.ts";
import { golden } from "./loss/golden-losses.ts";

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

  it.each(["group", "batch", "none", "loo", "rloo", "reinforce++", "gdpo"] as const)(
    "gives exactly 0 for rewards that are equal but for rounding: %s",
    (estimator) => {
      const sum = 0.1 + 0.2;
      const rewards = [sum, 0.3, 0.3, sum];
      const all = computeAdvantages(rewards, 4, estimator, {
        lengths: [3, 4, 5, 6],
        components: [rewards],
      });
      expect([...all.advantages]).toEqual([0, 0, 0, 0]);
      expect(all.zeroStdFraction).toBe(1);
    },
  );

  it("does not divide by the rounding of the others' rewards", () => {
    const sum = 0.1 + 0.2;
    const { advantages } = computeAdvantages([1, 0.3, sum, 0.3], 4, "loo", { limit: Infinity });
    expect(advantages[0]).toBeCloseTo(0.7, 12);
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

/** Every estimator with what it needs, on rewards that are one component or three. */
function advantagesOf(rewards: number[], groupSize: number, estimator: AdvantageEstimator) {
  return computeAdvantages(rewards, groupSize, estimator, {
    lengths: rewards.map((_, i) => 1 + (i % 5)),
    components: [rewards, rewards.map((reward) => reward / 3), rewards.map(() => 0.1)],
    weights: [0.3, 0.5, 0.2],
    limit: Infinity,
  }).advantages;
}

function expectAll(actual: Float64Array, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value), `${i}`).toBeLessThanOrEqual(
      1e-9 * Math.abs(value) + 1e-15,
    );
  });
}

describe("groups of different sizes", () => {
  const rewards = [1, 0, 0.4, 0.9, 0.1, 0.3, NaN, 0.6, 0.7, 0.7];
  const sizes = [3, 2, 3, 2];
  const groups = [rewards.slice(0, 3), rewards.slice(3, 5), rewards.slice(5, 8), [0.7, 0.7]];

  it.each(["group", "none", "rloo", "loo"] as const)("%s: each as if it were alone", (name) => {
    const together = computeAdvantages(rewards, sizes, name);
    const alone = groups.map((own) => computeAdvantages(own, own.length, name));
    expect([...together.advantages]).toEqual(alone.flatMap(({ advantages }) => [...advantages]));
    expect(together.limited).toBe(alone.reduce((sum, { limited }) => sum + limited, 0));
    expect(together.zeroStdFraction).toBe(0.25);
  });

  it("batch, reinforce++ and gdpo: normalised over all of them, by their definitions", () => {
    const given = rewards.filter((reward) => !Number.isNaN(reward));
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const std = (values: readonly number[], centre = mean(values)) =>
      Math.sqrt(values.reduce((a, b) => a + (b - centre) ** 2, 0) / (values.length - 1));
    const centred = groups.flatMap((own) => {
      const centre = mean(own.filter((reward) => !Number.isNaN(reward)));
      return own.map((reward) => (Number.isNaN(reward) ? 0 : reward - centre));
    });
    const batch = centred.map((value) => value / (std(given) + 1e-4));
    expectAll(computeAdvantages(rewards, sizes, "batch").advantages, [
      ...batch.slice(0, 8),
      ...[0, 0],
    ]);
    const lengths = rewards.map((_, i) => 1 + (i % 4));
    const tokens = centred.flatMap((value, i) =>
      Number.isNaN(rewards[i]!) ? [] : Array<number>(lengths[i]!).fill(value),
    );
    const centre = mean(tokens);
    const spread = Math.sqrt(mean(tokens.map((value) => (value - centre) ** 2)));
    expectAll(
      computeAdvantages(rewards, sizes, "reinforce++", { lengths }).advantages,
      centred.map((value, i) => (Number.isNaN(rewards[i]!) ? 0 : (value - centre) / spread)),
    );
    const scaled = groups.flatMap((own, i) => {
      const valid = own.filter((reward) => !Number.isNaN(reward));
      const from = [0, 3, 5, 8][i]!;
      const divisor = i === 3 ? 1 : std(valid) + 1e-4;
      return own.map((_, k) => (i === 3 ? 0 : centred[from + k]! / divisor));
    });
    const sums = scaled.filter((_, i) => i !== 6);
    expectAll(
      computeAdvantages(rewards, sizes, "gdpo", { components: [rewards] }).advantages,
      scaled.map((value, i) => (i === 6 || i >= 8 ? 0 : (value - mean(sums)) / (std(sums) + 1e-4))),
    );
  });

  it("must add up, and be of two at least", () => {
    expect(() => computeAdvantages([1, 2, 3], [2, 2], "group")).toThrow(/3 rewards .* 2,2/);
    expect(() => computeAdvantages([1, 2, 3], [2, 1], "group")).toThrow(RangeError);
    expect(() => computeAdvantages([], [], "group")).toThrow(RangeError);
  });
});

describe("estimators", () => {
  it.each(golden.advantages.totals)(
    "equal the code of TRL and the formulas of NeMo-RL on $rewards",
    ({ rewards, group, lengths, advantages }) => {
      for (const [name, expected] of Object.entries(advantages)) {
        const estimator = name as AdvantageEstimator;
        const options = { lengths, limit: Infinity };
        expectAll(computeAdvantages(rewards, group, estimator, options).advantages, expected);
      }
    },
  );

  it.each(golden.advantages.gdpo)(
    "of GDPO equal TRL's code with weights $weights",
    ({ components, weights, group, advantages }) => {
      const parts = components.map((part) => part.map((value) => value ?? NaN));
      const totals = parts[0]!.map((_, i) =>
        parts.every((part) => Number.isNaN(part[i]!))
          ? NaN
          : parts.reduce((sum, part, k) => sum + weights[k]! * (part[i]! || 0), 0),
      );
      const options = { components: parts, weights };
      expectAll(computeAdvantages(totals, group, "gdpo", options).advantages, advantages);
    },
  );

  it("give the numbers printed for the fixture", () => {
    const rewards = [1, 0.2, 0.2, 0];
    const loo = computeAdvantages(rewards, 4, "loo", { limit: Infinity });
    expect(rounded(loo.advantages)).toEqual([7.505489, -0.377964, -0.377964, -1.010361]);
    const components = [
      [1, 1, 1, 0],
      [1, 0, 0, 0],
    ];
    const gdpo = computeAdvantages(rewards, 4, "gdpo", { components, weights: [0.2, 0.8] });
    expect(rounded(gdpo.advantages)).toEqual([1.465544, -0.338203, -0.338203, -0.789139]);
    const rloo = computeAdvantages(rewards, 4, "rloo").advantages;
    const none = computeAdvantages(rewards, 4, "none").advantages;
    rloo.forEach((value, i) => expect(value).toBeCloseTo((none[i]! * 4) / 3, 14));
  });

  it("leave out rewards that do not apply", () => {
    for (const estimator of ["loo", "rloo", "reinforce++", "gdpo"] as const) {
      const advantages = advantagesOf([1, NaN, 0, 0.5, NaN, NaN, 1, NaN], 4, estimator);
      expect(advantages[1], estimator).toBe(0);
      expect(advantages.every(Number.isFinite), estimator).toBe(true);
      expect(advantages[0], estimator).toBeGreaterThan(0);
    }
    const rloo = advantagesOf([1, NaN, 0, 0.5], 4, "rloo");
    expect([...rloo]).toEqual([0.75, 0, -0.75, 0]);
  });

  it("say what they need", () => {
    expect(() => computeAdvantages([1, 0], 2, "reinforce++")).toThrow(/lengths/);
    expect(() => computeAdvantages([1, 0], 2, "gdpo")).toThrow(/components/);
    expect(() => computeAdvantages([1, 0], 2, "gdpo", { components: [[1]] })).toThrow(RangeError);
    expect(() =>
      computeAdvantages([1, 0], 2, "gdpo", { components: [[1, 0]], weights: [1, 2] }),
    ).toThrow(/2 weights for 1/);
  });
});

describe("equal rewards", () => {
  const groupBaselines = ["group", "batch", "none", "loo", "rloo", "gdpo"] as const;

  it("give exactly 0 with a baseline of the group, whatever the value, beside any other group", () => {
    const value = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(
        value,
        fc.array(value, { minLength: 8, maxLength: 8 }),
        fc.constantFrom(...groupBaselines),
        (same, others, estimator) => {
          const level = Array<number>(8).fill(same);
          const advantages = advantagesOf([...others, ...level, ...others], 8, estimator);
          expect(advantages.subarray(8, 16).every((x) => Object.is(x, 0))).toBe(true);
        },
      ),
    );
  });

  it("give exactly 0 for 0.84, which eight times summed and divided is another number", () => {
    for (const estimator of [...groupBaselines, "reinforce++"] as const) {
      const advantages = advantagesOf(Array<number>(16).fill(0.84), 8, estimator);
      expect(
        advantages.every((x) => Object.is(x, 0)),
        estimator,
      ).toBe(true);
    }
  });
});

describe("a leave-one-out deviation", () => {
  const nearly = [1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.15];

  it("explodes in NeMo's formula where the others are nearly equal", () => {
    const raw = (rewards: number[]) =>
      computeAdvantages(rewards, 8, "loo", { limit: Infinity }).advantages[0]!;
    expect(raw(nearly)).toBeCloseTo(42.7, 1);
    expect(raw([1, 0, 0, 0, 0, 0, 0, 0.05])).toBeCloseTo(52.5, 1);
    expect(raw([1, 0, 0, 0, 0, 0, 0, 0])).toBe(1);
    for (const rewards of [nearly, [1, 0, 0, 0, 0, 0, 0, 0]]) {
      expect(computeAdvantages(rewards, 8, "group").advantages[0]).toBeCloseTo(2.47, 2);
    }
  });

  it("is cut at the root of the group size, and the cuts are counted", () => {
    const { advantages, limited } = computeAdvantages(nearly, 8, "loo");
    expect(advantages[0]).toBe(Math.sqrt(8));
    expect(limited).toBe(1);
    expect(computeAdvantages(nearly, 8, "loo", { limit: 5 }).advantages[0]).toBe(5);
    expect(computeAdvantages(nearly, 8, "group").limited).toBe(0);
  });

  it("has a limit that no advantage over the whole group's deviation passes", () => {
    // Thousandths: squares of differences of doubles near 0 would underflow.
    const reward = fc.integer({ min: 0, max: 1000 }).map((points) => points / 1000);
    fc.assert(
      fc.property(fc.array(reward, { minLength: 8, maxLength: 8 }), (rewards) => {
        const { groupStd } = computeAdvantages(rewards, 8, "none");
        const rloo = computeAdvantages(rewards, 8, "rloo").advantages;
        for (const value of rloo) {
          expect(Math.abs(value)).toBeLessThanOrEqual(
            Math.sqrt(8) * groupStd[0]! * (1 + 1e-9) + 1e-15,
          );
        }
      }),
    );
  });
});
