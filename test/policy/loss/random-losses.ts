import { Random } from "../../../src/core/random.ts";
import type { PolicyFormula } from "../../../src/policy/loss/formula.ts";
import {
  LOSSES,
  LOSS_DEFAULTS,
  type LossSettings,
  type LossType,
} from "../../../src/policy/loss/losses.ts";
import type { LossBatch } from "../../../src/policy/loss/types.ts";
import { settingsOf } from "./golden-losses.ts";

type Some = Partial<LossSettings>;

/** Every option, each list drawn from on its own. */
const OPTIONS: Some[][] = [
  (Object.keys(LOSSES) as LossType[]).map((name) => ({ loss_type: name })),
  [{ importance_sampling_level: "token" }, { importance_sampling_level: "sequence" }],
  [{}, { epsilon: 0.1 }, { epsilon: 0.4 }],
  [{ epsilon_high: 0.28 }, { epsilon_high: 1.2 }, { epsilon_high: 5 }],
  [{}, { delta: 1.1 }, { delta: 2 }],
  [{}, { clip_ratio_c: 1.1 }, { clip_ratio_c: 3 }],
  [{ beta: 0 }, { beta: 0.05 }, { beta: 1 }],
  (["k1", "k2", "k3", "abs"] as const).map((name) => ({ kl_estimator: name })),
  (["differentiated", "straight_through", "score_function"] as const).map((name) => ({
    kl_gradient: name,
  })),
  [{ use_bias_correction_kl: true }, { use_bias_correction_kl: false }],
  [{}, { kl_input_clamp_value: 0.3 }],
  [{}, { kl_output_clamp_value: 0.04 }],
  [{}, { entropy_coef: 0.1 }],
  [{}, { top_entropy_quantile: 0.6 }, { top_entropy_quantile: 0.2 }],
  [{}, { off_policy_mask_threshold: 0.02 }],
  [
    {},
    { importance_sampling_mode: "token_truncate", importance_sampling_clip_max: 1.1 },
    { importance_sampling_mode: "token_mask", importance_sampling_clip_min: 0.8 },
    { importance_sampling_mode: "sequence_truncate", importance_sampling_clip_max: 1.2 },
    { importance_sampling_mode: "sequence_mask", importance_sampling_clip_max: 1.4 },
  ],
  [{}, { mask_truncated_completions: true }],
];

/** How many choices each option has. */
export const CHOICES = OPTIONS.map((list) => list.length);

/** Settings of one choice of every option, and those choices. */
export function randomSettings(random: Random): { settings: LossSettings; chosen: number[] } {
  const chosen = OPTIONS.map((list) => random.integer(list.length));
  const settings = settingsOf(Object.assign({}, ...chosen.map((pick, i) => OPTIONS[i]![pick])));
  const formula: PolicyFormula = LOSSES[settings.loss_type];
  const key = formula.refuses?.(settings)?.key as keyof LossSettings | undefined;
  if (key !== undefined) Object.assign(settings, { [key]: LOSS_DEFAULTS[key] });
  return { settings, chosen };
}

/** Completions of 0 to 4 tokens with all columns, some advantages 0, some completions cut or masked. */
export function randomBatch(random: Random, completions: number): LossBatch {
  let start = 0;
  const list = Array.from({ length: completions }, () => {
    const length = random.integer(5);
    const advantage = random.integer(4) === 0 ? 0 : random.normal();
    const truncated = random.integer(4) === 0;
    const masked = random.integer(6) === 0;
    start += length;
    return { start: start - length, length, advantage, truncated, masked };
  });
  const old = Array.from({ length: start }, () => -random.uniform(0, 3));
  const near = (deviation: number) => old.map((value) => value + random.normal(0, deviation));
  return {
    completions: list,
    logp: near(0.4),
    old,
    reference: near(0.4),
    sampling: near(0.2).map((value) => (random.integer(12) === 0 ? NaN : value)),
    entropy: old.map(() => random.uniform(0, 3)),
  };
}
