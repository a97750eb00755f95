import { existsSync, readFileSync } from "node:fs";
import { LOSSES, LOSS_DEFAULTS, type LossSettings } from "../../../src/policy/loss/losses.ts";
import type { LossBatch } from "../../../src/policy/loss/types.ts";

/** A batch as make_losses.py writes it. */
export interface GoldenBatch {
  lengths: number[];
  maxCompletionLength: number;
  truncated: boolean[];
  logp: number[];
  old: number[];
  reference: number[];
  sampling: (number | null)[];
  entropy: number[];
  advantage: number[];
}

/** The results of TRL for a batch; a null metric is NaN. */
export interface GoldenResult {
  settings: Partial<LossSettings>;
  loss: number;
  dLogp: number[];
  dEntropy?: number[];
  metrics: Record<string, number | null>;
}

interface Golden {
  versions: { trl: string };
  defaults: Partial<LossSettings>;
  batches: Record<string, GoldenBatch>;
  printed: (GoldenResult & {
    columns: Partial<GoldenBatch>;
    printed: { by?: string; grad?: number[]; loss: number } & Record<string, number>;
  })[];
  advantages: {
    totals: {
      rewards: number[];
      group: number;
      lengths: number[];
      advantages: Record<string, number[]>;
    }[];
    gdpo: {
      components: (number | null)[][];
      weights: number[];
      group: number;
      advantages: number[];
    }[];
  };
  adaptive: {
    settings: Record<
      "entropy_target" | "entropy_coef_delta" | "entropy_coef_min" | "entropy_coef_max",
      number
    >;
    coef: number;
    steps: { entropy: number; active: number; coef: number }[];
  };
  cases: (GoldenResult & { batch: string })[];
}

/** Losses, gradients, metrics and advantages of TRL's own code in float64. */
export const golden = JSON.parse(
  readFileSync(new URL("../../golden/train/losses.json", import.meta.url), "utf8"),
) as Golden;

/** Losses that are compared with TRL's: all but those with a definition in a test of their own. */
export const LOSSES_OF_TRL = Object.keys(LOSSES).filter(
  (name) => !existsSync(new URL(`./${name}.test.ts`, import.meta.url)),
);

/** Settings with TRL's defaults behind them. */
export function settingsOf(given: Partial<LossSettings>): LossSettings {
  return { ...LOSS_DEFAULTS, ...given };
}

/** A batch for `policyLoss`; `sampling` only where TRL was given it. */
export function batchOf(from: GoldenBatch, settings: LossSettings): LossBatch {
  let start = 0;
  const completions = from.lengths.map((length, i) => {
    const completion = {
      start,
      length,
      advantage: from.advantage[i]!,
      truncated: from.truncated[i]!,
    };
    start += length;
    return completion;
  });
  const { importance_sampling_mode: mode, off_policy_mask_threshold: threshold } = settings;
  return {
    completions,
    logp: from.logp,
    old: from.old,
    entropy: from.entropy,
    ...(settings.beta !== 0 && { reference: from.reference }),
    ...((mode !== null || threshold !== null) && {
      sampling: from.sampling.map((value) => value ?? NaN),
    }),
  };
}
