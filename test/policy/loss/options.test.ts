import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isOnPolicy, topEntropyThreshold } from "../../../src/policy/loss/masks.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import {
  LOSSES,
  ownFields,
  type LossSettings,
  type LossType,
} from "../../../src/policy/loss/losses.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import type { LossBatch } from "../../../src/policy/loss/types.ts";
import { trainSchema } from "../../../src/train/schema.ts";
import { batchOf, golden, settingsOf } from "./golden-losses.ts";

const fixture = golden.batches["fixture"]!;

function run(given: Partial<LossSettings>, changes: Partial<LossBatch> = {}) {
  const settings = settingsOf(given);
  const batch = { ...batchOf(fixture, settings), ...changes };
  return policyLoss(batch, settings, stepTotals([batch], settings, 8));
}

describe("delta and the dual clip", () => {
  const wide = batchOf(golden.batches["wild"]!, settingsOf({}));

  it("are one where the cap is beyond the clip", () => {
    const delta = run({ delta: 1.5 }, wide);
    const dual = run({ clip_ratio_c: 1.5 }, wide);
    expect(delta.loss).toBeCloseTo(dual.loss, 14);
    delta.dLogp.forEach((value, t) => expect(value).toBeCloseTo(dual.dLogp[t]!, 14));
    expect(dual.metrics["clip_ratio/dual_mean"]).toBeGreaterThan(0);
  });

  it("differ where it is inside, and there delta caps positive advantages too", () => {
    const completions = wide.completions.map((completion) => ({ ...completion, advantage: 1 }));
    const positive = { ...wide, completions };
    expect(run({ delta: 1.1 }, positive).loss).not.toBe(run({}, positive).loss);
    expect(run({ clip_ratio_c: 1.1 }, positive).loss).toBe(run({}, positive).loss);
  });
});

describe("both conventions of CISPO", () => {
  it("are the same where nothing is capped", () => {
    const ours = run({ loss_type: "cispo", epsilon_high: 10 });
    const minimax = run({ loss_type: "cispo_minimax", epsilon: 1, epsilon_high: 9 });
    expect(ours.loss).toBe(minimax.loss);
    expect(ours.dLogp).toEqual(minimax.dLogp);
  });

  it("differ in what epsilon_high means: a cap, or its distance from 1", () => {
    const ours = run({ loss_type: "cispo", epsilon_high: 1.05 });
    const minimax = run({ loss_type: "cispo_minimax", epsilon: 1, epsilon_high: 0.05 });
    expect(ours.loss).toBeCloseTo(minimax.loss, 14);
  });

  it("need the cap: TRL's fallback to epsilon would scale every loss by a fifth", () => {
    expect(() => run({ loss_type: "cispo" })).toThrow(/epsilon_high/);
  });
});

describe("a masked completion", () => {
  it.each(Object.keys(LOSSES) as LossType[])("of %s is as one that the limit cut", (name) => {
    const options = { loss_type: name, epsilon_high: 1.1, beta: 0.1, entropy_coef: 0.1 } as const;
    const { completions } = batchOf(fixture, settingsOf({}));
    const masked = completions.map((own) => ({ ...own, truncated: false, masked: own.truncated }));
    const both = completions.map((own) => ({ ...own, masked: own.truncated }));
    const cut = run({ ...options, mask_truncated_completions: true });
    expect(run(options, { completions: masked })).toEqual(cut);
    expect(run({ ...options, mask_truncated_completions: true }, { completions: both })).toEqual(
      cut,
    );
    expect(run(options).loss).not.toBe(cut.loss);
  });
});

describe("a border of the clip", () => {
  it("lets the derivative of the inside through: epsilon 0 on policy is the plain gradient", () => {
    const on = { old: fixture.logp };
    expect(run({ epsilon: 0 }, on).dLogp).toEqual(run({}, on).dLogp);
  });
});

describe("top entropy", () => {
  it("may keep the token of highest entropy alone, as in TRL", () => {
    expect(trainSchema.parse({ top_entropy_quantile: 0 }).top_entropy_quantile).toBe(0);
    const { dEntropy } = run({ top_entropy_quantile: 0, entropy_coef: 1 });
    const highest = fixture.entropy.indexOf(Math.max(...fixture.entropy));
    expect([...dEntropy!].flatMap((value, t) => (value === 0 ? [] : [t]))).toEqual([highest]);
  });

  it("has torch's quantile, linear between neighbours", () => {
    const values = [0.7, 0.1, 0.4, 1.3, 0.2];
    expect(topEntropyThreshold(values, 1)).toBe(-Infinity);
    expect(topEntropyThreshold(values, 0)).toBe(1.3);
    expect(topEntropyThreshold(values, 0.5)).toBe(0.4);
    expect(topEntropyThreshold(values, 0.4)).toBeCloseTo(0.52, 15);
    expect(topEntropyThreshold([], 0.2)).toBe(Infinity);
    expect(topEntropyThreshold([0.3], 0.2)).toBe(0.3);
  });

  it("is over the tokens that are left of truncated completions", () => {
    const settings = settingsOf({ top_entropy_quantile: 0.5, mask_truncated_completions: true });
    const batch = batchOf(fixture, settings);
    const totals = stepTotals([batch], settings, 8);
    // Row 2 is truncated; [.9 1.2 .3 .8 | 1.4 .5 .7 | 1.1 .4] are left.
    expect(totals).toMatchObject({ tokens: 9, completions: 4 });
    expect(totals.entropyThreshold).toBe(0.8);
    expect(totals.entropyTokens).toBe(5);
  });
});

describe("the off-policy mask", () => {
  const logp = [0, -1, -1.2, -0.4, -0.1];

  it("asks the mean over the completion's tokens, not their sum", () => {
    // sampling - logp is .1, .3, .2 over tokens 1 to 3.
    const sampling = [9, -0.9, -0.9, -0.2, 9];
    expect(isOnPolicy(logp, sampling, 1, 3, 0.21)).toBe(true);
    expect(isOnPolicy(logp, sampling, 1, 3, 0.19)).toBe(false);
  });

  it("takes an unknown log-probability as no difference, in the mean too", () => {
    const sampling = [9, -0.9, NaN, -0.2, 9];
    expect(isOnPolicy(logp, sampling, 1, 3, 0.11)).toBe(true);
    expect(isOnPolicy(logp, sampling, 1, 3, 0.09)).toBe(false);
    expect(isOnPolicy(logp, sampling, 1, 0, 0)).toBe(true);
  });
});

describe("a loss", () => {
  it("measures the KL at beta 0 where there is a reference", () => {
    const { metrics, loss } = run(
      { use_bias_correction_kl: false },
      { reference: fixture.reference },
    );
    expect(metrics["kl"]).toBeCloseTo(0.008266, 6);
    expect(loss).toBe(run({}).loss);
  });

  it("is 0 with a gradient of 0 for no completions, empty ones and masked ones", () => {
    const none = { completions: [], logp: [], old: [], entropy: [] };
    const empty = {
      ...none,
      completions: [{ start: 0, length: 0, advantage: 1, truncated: false }],
    };
    for (const batch of [none, empty]) expect(run({ entropy_coef: 0.1 }, batch).loss).toBe(0);
    const cut = batchOf({ ...fixture, truncated: [true, true, true, true] }, settingsOf({}));
    const { loss, dLogp } = run({ mask_truncated_completions: true }, cut);
    expect(loss).toBe(0);
    expect(dLogp.every((value) => value === 0)).toBe(true);
  });

  it("reads single-precision columns as they are", () => {
    const single = {
      logp: Float32Array.from(fixture.logp),
      old: Float32Array.from(fixture.old),
    };
    const double = { logp: Float64Array.from(single.logp), old: Float64Array.from(single.old) };
    expect(run({}, single)).toEqual(run({}, double));
  });

  it.each([
    [{ beta: 0.1 }, "reference"],
    [{ entropy_coef: 0.1 }, "entropy"],
    [{ importance_sampling_mode: "token_mask" }, "sampling"],
  ] as [Partial<LossSettings>, string][])("of %o says that it needs %s", (given, column) => {
    const settings = settingsOf(given);
    const { completions, logp, old } = batchOf(fixture, settings);
    const bare = { completions, logp, old };
    const totals = stepTotals([bare], settings, 8);
    expect(() => policyLoss(bare, settings, totals)).toThrow(`needs ${column}`);
  });

  it("refuses top entropy without entropies, and VESPO with a sequence correction", () => {
    const { completions, logp, old } = batchOf(fixture, settingsOf({}));
    const chosen = settingsOf({ top_entropy_quantile: 0.2 });
    expect(() => stepTotals([{ completions, logp, old }], chosen, 8)).toThrow(/entropies/);
    expect(() => run({ loss_type: "vespo", importance_sampling_mode: "sequence_mask" })).toThrow(
      /importance_sampling_mode: .* token_truncate/,
    );
  });
});

describe("docs/losses.md", () => {
  const page = readFileSync(new URL("../../../docs/losses.md", import.meta.url), "utf8");

  it("has a row for every loss and names every option of a single one", () => {
    for (const name of Object.keys(LOSSES)) {
      expect(page, name).toMatch(new RegExp(`^\\| \`${name}\``, "m"));
    }
    for (const [key, field] of Object.entries(ownFields(LOSSES))) {
      expect(page, key).toContain(`\`${key}\``);
      expect(field.description, key).toMatch(/^[A-Z].*\.$/);
    }
  });
});
