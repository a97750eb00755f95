import { describe, expect, it } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import type { LossSettings } from "../../../src/policy/loss/settings.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import type { LossBatch, StepTotals } from "../../../src/policy/loss/types.ts";
import { CHOICES, randomBatch, randomSettings } from "./random-losses.ts";

const STEP = 2 ** -16;

type Column = "logp" | "old" | "sampling" | "entropy";

/** Central difference of the loss along one token of some columns together. */
function difference(
  batch: LossBatch,
  settings: LossSettings,
  totals: StepTotals,
  token: number,
  columns: readonly Column[],
): number {
  const at = (step: number) => {
    const moved = { ...batch };
    for (const name of columns) {
      const column = Float64Array.from(batch[name]!);
      column[token]! += step;
      moved[name] = column;
    }
    return policyLoss(moved, settings, totals).loss;
  };
  return (at(STEP) - at(-STEP)) / (2 * STEP);
}

/**
 * dLoss/dlogp of one token by differences of losses without stopped gradients.
 *
 * CISPO and VESPO stop the gradient of the ratio: it stays as it is when logp, old and sampling move
 * together. The KL term is linear in beta, so it is the difference of two losses; its gradients that
 * are not its own are those of k2 without clamps, and its own with the value added.
 */
function slopeOf(
  batch: LossBatch,
  settings: LossSettings,
  totals: StepTotals,
  token: number,
): number {
  const stopped = /^(cispo|vespo)/.test(settings.loss_type);
  const bare = { ...settings, beta: 0 };
  const policy = difference(
    batch,
    bare,
    totals,
    token,
    stopped ? ["logp", "old", "sampling"] : ["logp"],
  );
  if (settings.beta === 0) return policy;
  const byKl = (changes: Partial<LossSettings>, of = batch) =>
    difference(of, { ...settings, ...changes }, totals, token, ["logp"]) -
    difference(of, { ...settings, ...changes, beta: 0 }, totals, token, ["logp"]);
  const plain = { use_bias_correction_kl: false } as const;
  switch (settings.kl_gradient) {
    case "differentiated":
      return policy + byKl({});
    case "straight_through":
      return (
        policy +
        byKl({
          ...plain,
          kl_estimator: "k2",
          kl_input_clamp_value: null,
          kl_output_clamp_value: null,
        })
      );
    case "score_function":
      // On policy the ratio is 1 and moves by 1 for each unit of logp, as exp(logp - sg(logp)) does.
      return (
        policy +
        byKl(
          { use_bias_correction_kl: true, importance_sampling_level: "token" },
          { ...batch, old: batch.logp },
        )
      );
  }
}

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
      for (let token = 0; token < batch.logp.length; token++) {
        const slope = slopeOf(batch, settings, totals, token);
        const about = `round ${round}, token ${token}, ${JSON.stringify(settings)}`;
        expect(Math.abs(dLogp[token]! - slope), about).toBeLessThan(2e-8 * (1 + Math.abs(slope)));
        if (dEntropy === undefined) continue;
        const byEntropy = difference(batch, settings, totals, token, ["entropy"]);
        expect(Math.abs(dEntropy[token]! - byEntropy), about).toBeLessThan(1e-8);
      }
    }
  });

  it("were taken with every choice of every option", () => {
    expect(seen.map(({ size }) => size)).toEqual(CHOICES);
  });
});
