import { describe, expect, it } from "vitest";
import { betaAt } from "../../../src/policy/loss/kl.ts";
import { klPenalisedRewards, klTerm } from "../../../src/policy/loss/kl.ts";
import type { LossSettings } from "../../../src/policy/loss/losses.ts";
import type { KlEstimator } from "../../../src/policy/loss/settings.ts";
import { batchOf, golden, settingsOf } from "./golden-losses.ts";

const fixture = golden.batches["fixture"]!;

function terms(given: Partial<LossSettings>): { value: number; slope: number }[] {
  const settings = settingsOf(given);
  return fixture.logp.map((logp, t) => klTerm(logp, fixture.reference[t]!, settings));
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

describe("KL estimates", () => {
  it.each([
    ["k1", -0.007692, [0.1, 0.1, 0, 0.1, -0.1, 0, 0.2, 0.1, -0.2, -0.2, 0, -0.2, 0]],
    ["k2", 0.008077, undefined],
    [
      "k3",
      0.008266,
      [
        0.004837, 0.004837, 0, 0.004837, 0.005171, 0, 0.018731, 0.004837, 0.021403, 0.021403, 0,
        0.021403, 0,
      ],
    ],
    ["abs", 0.1, undefined],
  ] as const)("%s are as printed for the fixture", (name, average, each) => {
    const values = terms({ kl_estimator: name }).map(({ value }) => value);
    expect(Math.abs(mean(values) - average)).toBeLessThanOrEqual(0.50001e-6);
    each?.forEach((value, t) => expect(values[t]).toBeCloseTo(value, 6));
  });

  it("k3 has the slopes printed for TRL, and verl's k3+ those of k2", () => {
    const row = (given: Partial<LossSettings>) =>
      terms(given)
        .slice(0, 4)
        .map(({ slope }) => Number((slope / 13).toFixed(6)));
    expect(row({})).toEqual([0.00732, 0.00732, 0, 0.00732]);
    expect(row({ kl_gradient: "straight_through" })).toEqual([0.007692, 0.007692, 0, 0.007692]);
  });

  it("k1 pushes all tokens down alike; its gradient says nothing of the reference", () => {
    expect(terms({ kl_estimator: "k1" }).every(({ slope }) => slope === 1)).toBe(true);
  });

  it("do not move beyond a clamp, by either clamp", () => {
    const far = (given: Partial<LossSettings>) => klTerm(-30, -1, settingsOf(given));
    expect(far({ kl_input_clamp_value: 20 })).toEqual({ value: Math.expm1(20) - 20, slope: 0 });
    expect(far({ kl_input_clamp_value: 20, kl_output_clamp_value: 10 })).toEqual({
      value: 10,
      slope: 0,
    });
    expect(far({ kl_output_clamp_value: 10, kl_gradient: "straight_through" }).slope).toBe(-29);
    expect(far({ kl_output_clamp_value: 10, kl_gradient: "score_function" }).slope).toBe(10);
  });

  it("k3 keeps its digits where policy and reference are nearly one", () => {
    const { value } = klTerm(-1, -1 + 1e-9, settingsOf({}));
    expect(value).toBeGreaterThanOrEqual(0);
    // exp(r) - r - 1 as written would give 0 or 1e-16.
    expect(value).toBeLessThan(1e-17);
  });
});

describe("KL in the reward", () => {
  const batch = batchOf(fixture, settingsOf({ beta: 0.1 }));

  it.each(["k1", "k2", "k3", "abs"] as KlEstimator[])(
    "takes beta times the sum of %s from each reward",
    (name) => {
      const settings = settingsOf({ beta: 0.1, kl_estimator: name });
      const rewards = [1, 0.2, NaN, 0];
      const changed = klPenalisedRewards(rewards, batch, settings);
      let at = 0;
      fixture.lengths.forEach((length, i) => {
        let sum = 0;
        for (const end = at + length; at < end; at++) {
          const r = fixture.reference[at]! - fixture.old[at]!;
          sum += { k1: -r, k2: r ** 2 / 2, k3: Math.exp(r) - r - 1, abs: Math.abs(r) }[name];
        }
        if (Number.isNaN(rewards[i]!)) expect(changed[i]).toBeNaN();
        else expect(changed[i]).toBeCloseTo(rewards[i]! - 0.1 * sum, 14);
      });
    },
  );

  it("is refused without a reference or with rewards of other completions", () => {
    const settings = settingsOf({ beta: 0.1 });
    const { reference: _none, ...bare } = batch;
    expect(() => klPenalisedRewards([1, 1, 1, 1], bare, settings)).toThrow(/reference/);
    expect(() => klPenalisedRewards([1], batch, settings)).toThrow(/1 rewards for 4/);
  });
});

describe("beta", () => {
  it("falls to a quarter over the first half of the run and stays", () => {
    const at = (step: number) => betaAt("humanomni_v2", 0.04, step, 100);
    expect([0, 25, 50, 75, 100].map(at)).toEqual([0.04, 0.025, 0.01, 0.01, 0.01]);
    expect(at(49)).toBeCloseTo(0.0106, 12);
    expect(betaAt("humanomni_v2", 0.04, 0, 0)).toBe(0.01);
  });

  it("is itself where constant", () => {
    expect(betaAt("constant", 0.04, 70, 100)).toBe(0.04);
  });
});
