import { z } from "zod";
import { emptyTerms, meanOfMeans, type PolicyFormula } from "./formula.ts";

const options = {
  sapo_temperature_pos: z
    .number()
    .positive()
    .default(1)
    .describe("Temperature of `sapo` for positive advantages."),
  sapo_temperature_neg: z
    .number()
    .positive()
    .default(1.05)
    .describe("Temperature of `sapo` for negative advantages."),
};

/**
 * SAPO: -(4 / tau) sigmoid(tau (w - 1)) A, a soft clip, tau by the sign of A; mean of means.
 *
 * tau is `sapo_temperature_pos` for A > 0, else `sapo_temperature_neg`. TRL's mean is per local
 * batch, as for `grpo`.
 *
 * Source: Gao et al. 2025 (SAPO), eq. 6; TRL 1.16 `GRPOTrainer._compute_loss`.
 */
export const sapo = {
  weight: meanOfMeans,
  options,
  terms(view, settings) {
    const { advantage } = view;
    const tau = advantage > 0 ? settings.sapo_temperature_pos : settings.sapo_temperature_neg;
    const terms = emptyTerms(view.length);
    for (let t = 0; t < view.length; t++) {
      const ratio = view.ratio[t]!;
      const sigmoid = 1 / (1 + Math.exp(-tau * (ratio - 1)));
      terms.value[t] = (-4 / tau) * sigmoid * advantage;
      terms.byLogRatio[t] = -4 * sigmoid * (1 - sigmoid) * ratio * advantage;
    }
    return terms;
  },
} satisfies PolicyFormula<z.output<z.ZodObject<typeof options>>>;
