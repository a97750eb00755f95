import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Random } from "../../../../src/core/random.ts";
import { LOSSES, LOSS_DEFAULTS, ownFields } from "../../../../src/policy/loss/losses.ts";
import { formulaLoss } from "../../../../src/policy/loss/policy-loss.ts";
import { stepTotals } from "../../../../src/policy/loss/totals.ts";
import type { LossBatch } from "../../../../src/policy/loss/types.ts";
import { randomBatch, randomSettings } from "../random-losses.ts";
import { slopeOf } from "../slopes.ts";
import { tether } from "./tether.ts";

/** The loss as its formula is written, of the columns of a batch without truncated completions. */
function definition(batch: LossBatch, level: "token" | "sequence", stiffness: number): number {
  let loss = 0;
  for (const { start, length, advantage, masked } of batch.completions) {
    if (masked) continue;
    const differences = Array.from(
      { length },
      (_, t) => batch.logp[start + t]! - batch.old[start + t]!,
    );
    const mean = differences.reduce((sum, each) => sum + each, 0) / length;
    differences.forEach((each) => {
      const w = Math.exp(level === "token" ? each : mean);
      const term = -(w * advantage - (stiffness / 2) * (w - 1) * (w - 1));
      loss += term / (batch.completions.length * Math.sqrt(length));
    });
  }
  return loss;
}

/** A registry with one line more. */
const EXTENDED = { ...LOSSES, tether };

describe("a made-up loss in a folder of its own", () => {
  it("brings its options into a configuration", () => {
    const fields = z.strictObject(ownFields(EXTENDED));
    const defaults = fields.parse({});
    expect(defaults.tether_stiffness).toBe(2);
    expect(defaults.vespo_k_pos).toBe(LOSS_DEFAULTS.vespo_k_pos);
    expect(() => fields.parse({ tether_stiffness: -1 })).toThrow(/tether_stiffness/);
  });

  it.each(["token", "sequence"] as const)("is its definition at %s level", (level) => {
    const random = new Random(21, "init");
    const own = { importance_sampling_level: level, tether_stiffness: 1.7 } as const;
    const settings = { ...LOSS_DEFAULTS, ...own };
    for (let round = 0; round < 50; round++) {
      const batch = randomBatch(random, 4);
      const { loss } = formulaLoss(tether, batch, settings, stepTotals([batch], settings, 6));
      const expected = definition(batch, level, 1.7);
      expect(Math.abs(loss - expected)).toBeLessThan(1e-13 * (1 + Math.abs(expected)));
    }
  });

  it("has the slope of central differences with every option of all losses", () => {
    const random = new Random(22, "init");
    for (let round = 0; round < 200; round++) {
      const settings = { ...randomSettings(random).settings, delta: null, tether_stiffness: 0.8 };
      if (settings.kl_gradient !== "differentiated") settings.use_bias_correction_kl = false;
      const batch = randomBatch(random, 3);
      const totals = stepTotals([batch], settings, 6);
      const { dLogp } = formulaLoss(tether, batch, settings, totals);
      for (let token = 0; token < dLogp.length; token++) {
        const slope = slopeOf(tether, batch, settings, totals, token);
        expect(
          Math.abs(dLogp[token]! - slope),
          `round ${round}, ${JSON.stringify(settings)}`,
        ).toBeLessThan(2e-8 * (1 + Math.abs(slope)));
      }
    }
  });

  it("measures what it names", () => {
    const random = new Random(23, "init");
    const batch = randomBatch(random, 3);
    const settings = { ...LOSS_DEFAULTS, tether_stiffness: 1 };
    const totals = stepTotals([batch], settings, 6);
    let sum = 0;
    for (const { start, length, masked } of batch.completions) {
      for (let t = start; t < start + (masked ? 0 : length); t++) {
        sum += Math.abs(Math.exp(batch.logp[t]! - batch.old[t]!) - 1);
      }
    }
    const { metrics } = formulaLoss(tether, batch, settings, totals);
    expect(metrics["tether/stretch"]).toBeCloseTo(sum / totals.tokens, 14);
  });

  it("refuses what it cannot work with", () => {
    const batch = randomBatch(new Random(24, "init"), 2);
    const settings = { ...LOSS_DEFAULTS, delta: 2, tether_stiffness: 1 };
    expect(() => formulaLoss(tether, batch, settings, stepTotals([batch], settings, 6))).toThrow(
      "delta: `tether` has no clip to cap. Set it to null.",
    );
  });
});
