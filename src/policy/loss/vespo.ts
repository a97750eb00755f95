import { z } from "zod";
import { emptyTerms, tokenMean, type LossView, type PolicyFormula } from "./formula.ts";

const options = {
  vespo_k_pos: z.number().positive().default(2).describe("Shape of `vespo`, A >= 0."),
  vespo_lambda_pos: z.number().min(0).default(3).describe("Rate of `vespo`, A >= 0."),
  vespo_k_neg: z.number().positive().default(3).describe("Shape of `vespo`, A < 0."),
  vespo_lambda_neg: z.number().min(0).default(2).describe("Rate of `vespo`, A < 0."),
};

type VespoSettings = z.output<z.ZodObject<typeof options>>;

const LOG_FLOOR = Math.log(1e-8);
const LOG_LIMIT = 20;

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** log W of the whole completion, with the sampling correction where there is one. */
function logWeight(view: LossView): number {
  let sum = 0;
  for (let t = 0; t < view.length; t++) {
    sum += clamp(view.logRatio[t]!, -LOG_LIMIT, LOG_LIMIT);
    if (view.correction !== undefined) {
      sum += clamp(Math.log(view.correction[t]!), LOG_FLOOR, LOG_LIMIT);
    }
  }
  return clamp(sum, LOG_FLOOR, LOG_LIMIT);
}

/** phi(W) = exp(lambda + k log W - lambda W), which is 1 at W = 1. */
function phiOf(logW: number, advantage: number, settings: VespoSettings): number {
  const [k, lambda] =
    advantage >= 0
      ? [settings.vespo_k_pos, settings.vespo_lambda_pos]
      : [settings.vespo_k_neg, settings.vespo_lambda_neg];
  const bounded = Math.max(lambda, 1e-4);
  const phi = Math.exp(bounded + k * logW - bounded * Math.exp(logW));
  return Number.isFinite(phi) ? phi : 0;
}

/**
 * VESPO: -sg(phi(W)) A logp, mean over the step's tokens, W the product of a completion's ratios.
 *
 * log W = clamp(sum clamp(logp - old, +-20) + sum log correction, log 1e-8, 20); the correction
 * enters here and does not multiply the loss. (k, lambda) by the sign of A: `vespo_*`.
 *
 * Source: TRL 1.16 `GRPOTrainer.get_gamma_weights`.
 */
export const vespo = {
  weight: tokenMean,
  options,
  takesCorrection: true,
  refuses: ({ importance_sampling_mode: mode }) =>
    mode?.startsWith("sequence") === true
      ? {
          key: "importance_sampling_mode",
          message: "`vespo` corrects tokens, not sequences",
          remedy: "Set it to token_truncate or token_mask.",
        }
      : undefined,
  terms(view, settings) {
    const { advantage } = view;
    const terms = emptyTerms(view.length);
    const phi = phiOf(logWeight(view), advantage, settings);
    for (let t = 0; t < view.length; t++) {
      terms.byLogp[t] = -phi * advantage;
      terms.value[t] = terms.byLogp[t]! * view.logp[t]!;
    }
    terms.perCompletion = { "vespo/phi_seq_mean": phi };
    return terms;
  },
} satisfies PolicyFormula<VespoSettings>;
