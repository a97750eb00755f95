import { describe, expect, it } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { combineResults } from "../../../src/policy/loss/metrics.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import type { LossBatch } from "../../../src/policy/loss/types.ts";
import { batchOf, golden, settingsOf } from "./golden-losses.ts";
import { randomBatch, randomSettings } from "./random-losses.ts";

/** The completions from `first` up to `end` as a batch of their own. */
function part(batch: LossBatch, first: number, end: number): LossBatch {
  const own = batch.completions.slice(first, end);
  const start = own[0]?.start ?? 0;
  const tokens = own.reduce((sum, { length }) => sum + length, 0);
  const cut = (column: ArrayLike<number>) => Array.from(column).slice(start, start + tokens);
  return {
    completions: own.map((completion) => ({ ...completion, start: completion.start - start })),
    logp: cut(batch.logp),
    old: cut(batch.old),
    reference: cut(batch.reference!),
    sampling: cut(batch.sampling!),
    entropy: cut(batch.entropy!),
  };
}

function expectNear(actual: number, expected: number, what: string): void {
  if (Number.isNaN(expected)) expect(actual, what).toBeNaN();
  else expect(Math.abs(actual - expected), what).toBeLessThan(1e-13 * (1 + Math.abs(expected)));
}

describe("a step in parts", () => {
  it("has the loss, gradient and metrics of the whole, however it is cut", () => {
    const random = new Random(5, "init");
    for (let round = 0; round < 600; round++) {
      const { settings } = randomSettings(random);
      const batch = randomBatch(random, 5);
      const cuts = [0, random.integer(6), random.integer(6), 5].sort((a, b) => a - b);
      const parts = cuts.slice(1).map((end, i) => part(batch, cuts[i]!, end));
      const totals = stepTotals(parts, settings, 6);
      expect(totals).toEqual(stepTotals([batch], settings, 6));
      const whole = policyLoss(batch, settings, totals);
      const joined = combineResults(parts.map((each) => policyLoss(each, settings, totals)));
      const about = `round ${round}, ${JSON.stringify(settings)}`;
      expectNear(joined.loss, whole.loss, about);
      // No sum crosses completions, so their gradients are the same bits.
      expect([...joined.dLogp], about).toEqual([...whole.dLogp]);
      expect(joined.dEntropy, about).toEqual(whole.dEntropy);
      expect(Object.keys(joined.metrics).sort()).toEqual(Object.keys(whole.metrics).sort());
      for (const [name, value] of Object.entries(whole.metrics)) {
        expectNear(joined.metrics[name]!, value, `${name}, ${about}`);
      }
    }
  });
});

describe("a metric of completions", () => {
  const name = "sampling/importance_sampling_ratio";
  const settings = settingsOf({
    importance_sampling_mode: "sequence_truncate",
    importance_sampling_clip_max: null,
  });
  const batch = batchOf(golden.batches["fixture"]!, settings);

  it("counts each of them once, not once for every other", () => {
    const { metrics } = policyLoss(batch, settings, stepTotals([batch], settings, 8));
    // The ratios printed for the fixture; NeMo-RL's broadcast gave 6.317 for their mean.
    const ratios = [1.105171, 1.221403, 0.67032, 3.320117];
    expect(metrics[`${name}/mean`]).toBeCloseTo(1.579253, 6);
    expect(metrics[`${name}/mean`]).toBeCloseTo(ratios.reduce((sum, x) => sum + x) / 4, 6);
    expect(metrics[`${name}/min`]).toBeCloseTo(0.67032, 6);
    expect(metrics[`${name}/max`]).toBeCloseTo(3.320117, 6);
  });

  it("stays the same however often the step is repeated", () => {
    const totals = stepTotals([batch, batch, batch], settings, 8);
    const third = policyLoss(batch, settings, totals);
    const { metrics } = combineResults([third, third, third]);
    expect(metrics[`${name}/mean`]).toBeCloseTo(1.579253, 6);
    expect(metrics["entropy"]).toBeCloseTo(0.823077, 6);
  });

  it("is at most 1 for shares of completions", () => {
    const random = new Random(9, "init");
    for (let round = 0; round < 300; round++) {
      const drawn = randomSettings(random).settings;
      const own = randomBatch(random, 4);
      const { metrics } = policyLoss(own, drawn, stepTotals([own], drawn, 6));
      for (const [key, value] of Object.entries(metrics)) {
        if (!/clip_ratio/.test(key) || Number.isNaN(value)) continue;
        expect(value, key).toBeGreaterThanOrEqual(0);
        expect(value, key).toBeLessThanOrEqual(1 + 1e-12);
      }
    }
  });
});
