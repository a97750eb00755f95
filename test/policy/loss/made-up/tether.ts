import { z } from "zod";
import { emptyTerms, measure, type PolicyFormula } from "../../../../src/policy/loss/formula.ts";

const options = {
  tether_stiffness: z
    .number()
    .positive()
    .default(2)
    .describe("Pull of `tether` on the ratio towards 1."),
};

/** The options that only this loss has. */
export type TetherSettings = z.output<z.ZodObject<typeof options>>;

/**
 * A made-up loss: -(w A - stiffness / 2 (w - 1)^2), a spring in place of a clip; a completion weighs
 * by the root of its length.
 */
export const tether = {
  weight: (length, totals) => 1 / (totals.completions * Math.sqrt(Math.max(1, length))),
  options,
  terms(view, { tether_stiffness: stiffness }) {
    const { advantage } = view;
    const terms = emptyTerms(view.length);
    const stretched = view.ratio.map((ratio) => Math.abs(ratio - 1));
    view.ratio.forEach((ratio, t) => {
      terms.value[t] = -ratio * advantage + (stiffness / 2) * (ratio - 1) ** 2;
      terms.byLogRatio[t] = (-advantage + stiffness * (ratio - 1)) * ratio;
    });
    measure(terms, view, "tether/stretch", stretched);
    return terms;
  },
  refuses: ({ delta }) =>
    delta === null
      ? undefined
      : { key: "delta", message: "`tether` has no clip to cap", remedy: "Set it to null." },
} satisfies PolicyFormula<TetherSettings>;
