import { describe, expect, it } from "vitest";
import { activeEntropyCoef, adaptEntropyCoef } from "../../../src/policy/loss/entropy-control.ts";
import { LOSS_DEFAULTS, type LossSettings } from "../../../src/policy/loss/losses.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import type { LossResult } from "../../../src/policy/loss/types.ts";
import {
  batchOf,
  golden,
  LOSSES_OF_TRL,
  settingsOf,
  type GoldenBatch,
  type GoldenResult,
} from "./golden-losses.ts";

/** Relative; the floor is what float64 leaves of numbers of order 1 that cancel. */
function expectNear(actual: number, expected: number, what: string): void {
  const error = Math.abs(actual - expected);
  expect(error <= 1e-9 * Math.abs(expected) + 1e-15, `${what}: ${actual} is not ${expected}`).toBe(
    true,
  );
}

function run(from: GoldenBatch, settings: LossSettings): LossResult {
  const batch = batchOf(from, settings);
  return policyLoss(batch, settings, stepTotals([batch], settings, from.maxCompletionLength));
}

/** Metrics that TRL logs only while it corrects for vLLM, or that are a setting. */
const ELSEWHERE = /^(entropy_coef|sampling\/sampling_logp_difference.*)$/;

function expectEqual(result: LossResult, expected: GoldenResult): void {
  expectNear(result.loss, expected.loss, "loss");
  expect(result.dLogp.length).toBe(expected.dLogp.length);
  expected.dLogp.forEach((value, t) => expectNear(result.dLogp[t]!, value, `dLogp ${t}`));
  expect(result.dEntropy === undefined).toBe(expected.dEntropy === undefined);
  expected.dEntropy?.forEach((value, t) => expectNear(result.dEntropy![t]!, value, `dH ${t}`));
  for (const [name, value] of Object.entries(expected.metrics)) {
    if (name === "entropy_coef") continue;
    expect(result.metrics, name).toHaveProperty([name]);
    if (value === null) expect(result.metrics[name], name).toBeNaN();
    else expectNear(result.metrics[name]!, value, name);
  }
  const others = Object.keys(result.metrics).filter((name) => !(name in expected.metrics));
  expect(others.filter((name) => !ELSEWHERE.test(name) && name !== "clip_ratio/dual_mean")).toEqual(
    [],
  );
}

describe("losses, gradients and metrics", () => {
  const byLoss = LOSSES_OF_TRL.map((name) => ({
    name,
    cases: golden.cases.filter(({ settings }) => settings.loss_type === name),
  }));

  it.each(byLoss)("of $name are TRL's to 1e-9", ({ cases }) => {
    expect(cases.length).toBeGreaterThan(40);
    for (const expected of cases) {
      const settings = settingsOf(expected.settings);
      const about = `${expected.batch} ${JSON.stringify(expected.settings)}`;
      try {
        expectEqual(run(golden.batches[expected.batch]!, settings), expected);
      } catch (error) {
        throw new Error(`${about}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
});

/** The metrics that the printed numbers are. */
const PRINTED: Record<string, string> = {
  region: "clip_ratio/region_mean",
  low: "clip_ratio/low_mean",
  high: "clip_ratio/high_mean",
  low_min: "clip_ratio/low_min",
  high_max: "clip_ratio/high_max",
  entropy: "entropy",
  kl: "kl",
  cispo: "cispo_clip_ratio",
  phi: "vespo/phi_seq_mean",
  policy_loss: "policy_loss",
  gap: "sampling/sampling_logp_difference/mean",
  gap_max: "sampling/sampling_logp_difference/max",
  ratio: "sampling/importance_sampling_ratio/mean",
};

describe("the fixture", () => {
  const fixture = golden.batches["fixture"]!;
  it.each(golden.printed)("is as printed for $settings", (expected) => {
    const result = run({ ...fixture, ...expected.columns }, settingsOf(expected.settings));
    expectEqual(result, expected);
    const { grad, by: _by, loss, ...numbers } = expected.printed;
    expect(Math.abs(result.loss - loss)).toBeLessThanOrEqual(0.50001e-8);
    grad?.forEach((value, t) => {
      // NeMo-RL's gradient was printed for the first row only.
      expect(Math.abs(result.dLogp[t]! - value), `token ${t}`).toBeLessThanOrEqual(0.50001e-6);
    });
    for (const [name, value] of Object.entries(numbers)) {
      const actual = result.metrics[PRINTED[name]!]!;
      expect(Math.abs(actual - value), name).toBeLessThanOrEqual(0.50001e-6);
    }
  });

  it("of a quarter of a step has a quarter of the loss", () => {
    const settings = settingsOf({ loss_type: "grpo" });
    const batch = batchOf(fixture, settings);
    const whole = stepTotals([batch, batch, batch, batch], settings, 8);
    expect(Math.abs(policyLoss(batch, settings, whole).loss - -0.0122692)).toBeLessThan(0.5e-8);
  });

  it("needs no clip where rollout and policy are one, and still has a gradient", () => {
    const settings = settingsOf({ loss_type: "grpo" });
    const { loss, dLogp, metrics } = run({ ...fixture, old: fixture.logp }, settings);
    expect(Math.abs(loss)).toBeLessThan(1e-16);
    expect(metrics["clip_ratio/region_mean"]).toBe(0);
    expect(Math.max(...dLogp.map(Math.abs))).toBeGreaterThan(0.09);
  });
});

describe("the defaults", () => {
  it("are TRL's", () => {
    expect(golden.versions.trl).toBe("1.16.0");
    expect(LOSS_DEFAULTS).toMatchObject(golden.defaults);
  });
});

describe("an adaptive entropy bonus", () => {
  it("moves as TRL's", () => {
    const { settings, coef, steps } = golden.adaptive;
    let control = { coef, lastEntropy: null as number | null };
    for (const step of steps) {
      expectNear(activeEntropyCoef(control, settings), step.active, "active");
      control = adaptEntropyCoef(control, step.entropy, settings);
      expectNear(control.coef, step.coef, "coef");
    }
    expect(new Set(steps.map(({ active }) => active > 0)).size).toBe(2);
  });
});
