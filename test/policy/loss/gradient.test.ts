import { describe, expect, it } from "vitest";
import { Random } from "../../../src/core/random.ts";
import type { PolicyFormula } from "../../../src/policy/loss/formula.ts";
import { LOSSES } from "../../../src/policy/loss/losses.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import { CHOICES, randomBatch, randomSettings } from "./random-losses.ts";
import { difference, slopeOf } from "./slopes.ts";

describe("gradients", () => {
  const random = new Random(3, "init");
  const seen = CHOICES.map(() => new Set<number>());

  it("are central differences for random choices of all options", () => {
    for (let round = 0; round < 1500; round++) {
      const { settings, chosen } = randomSettings(random);
      chosen.forEach((pick, i) => seen[i]!.add(pick));
      // The two are products of a value and a ratio of which only one is differentiated.
      if (settings.kl_gradient !== "differentiated") settings.use_bias_correction_kl = false;
      const batch = randomBatch(random, 3);
      const totals = stepTotals([batch], settings, 6);
      // A token whose entropy is the threshold itself may not fall below it when it moves.
      totals.entropyThreshold -= 1e-3;
      const { dLogp, dEntropy } = policyLoss(batch, settings, totals);
      const formula: PolicyFormula = LOSSES[settings.loss_type];
      for (let token = 0; token < batch.logp.length; token++) {
        const slope = slopeOf(formula, batch, settings, totals, token);
        const about = `round ${round}, token ${token}, ${JSON.stringify(settings)}`;
        expect(Math.abs(dLogp[token]! - slope), about).toBeLessThan(2e-8 * (1 + Math.abs(slope)));
        if (dEntropy === undefined) continue;
        const byEntropy = difference(formula, batch, settings, totals, token, ["entropy"]);
        expect(Math.abs(dEntropy[token]! - byEntropy), about).toBeLessThan(1e-8);
      }
    }
  });

  it("were taken with every choice of every option", () => {
    expect(seen.map(({ size }) => size)).toEqual(CHOICES);
  });
});
