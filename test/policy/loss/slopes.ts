import type { PolicyFormula } from "../../../src/policy/loss/formula.ts";
import { formulaLoss } from "../../../src/policy/loss/policy-loss.ts";
import type { CommonLossSettings } from "../../../src/policy/loss/settings.ts";
import type { LossBatch, StepTotals } from "../../../src/policy/loss/types.ts";

const STEP = 2 ** -16;

type Column = "logp" | "old" | "sampling" | "entropy";

/** Central difference of a loss along one token of some columns together. */
export function difference<Own>(
  formula: PolicyFormula<Own>,
  batch: LossBatch,
  settings: CommonLossSettings & Own,
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
    return formulaLoss(formula, moved, settings, totals).loss;
  };
  return (at(STEP) - at(-STEP)) / (2 * STEP);
}

/**
 * True where a loss stops the gradient of the ratio and lets that of the log-probability through, as
 * CISPO and VESPO do.
 */
function stopsRatio<Own>(formula: PolicyFormula<Own>, settings: CommonLossSettings & Own): boolean {
  const one = (value: number) => Float64Array.of(value);
  const { byLogp } = formula.terms(
    {
      ...{ length: 1, logp: one(-1), logRatio: one(0.1), ratio: one(Math.exp(0.1)) },
      ...{ advantage: 1, uniform: false, correction: undefined },
    },
    settings,
  );
  return byLogp[0] !== 0;
}

/**
 * dLoss/dlogp of one token by differences of losses without stopped gradients.
 *
 * A ratio whose gradient is stopped stays as it is when logp, old and sampling move together. The KL
 * term is linear in beta, so it is the difference of two losses; its gradients that are not its own
 * are those of k2 without clamps, and its own with the value added.
 */
export function slopeOf<Own>(
  formula: PolicyFormula<Own>,
  batch: LossBatch,
  settings: CommonLossSettings & Own,
  totals: StepTotals,
  token: number,
): number {
  const stopped = stopsRatio(formula, settings);
  const columns = stopped ? (["logp", "old", "sampling"] as const) : (["logp"] as const);
  const bare = { ...settings, beta: 0 };
  const policy = difference(formula, batch, bare, totals, token, columns);
  if (settings.beta === 0) return policy;
  const byKl = (changes: Partial<CommonLossSettings>, of = batch) => {
    const at = (beta: number) =>
      difference(formula, of, { ...settings, ...changes, beta }, totals, token, ["logp"]);
    return at(settings.beta) - at(0);
  };
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
