import { z } from "zod";
import { cispo, cispoMinimax } from "./cispo.ts";
import { bnpo, dapo, drGrpo, grpo, luspo } from "./clipped.ts";
import type { PolicyFormula } from "./formula.ts";
import { sapo } from "./sapo.ts";
import { type CommonLossSettings, COMMON_LOSS_DEFAULTS } from "./settings.ts";
import { vespo } from "./vespo.ts";

/** Losses by the names that a configuration has for them. */
export type LossRegistry = Readonly<Record<string, PolicyFormula>>;

/** Every loss: a further one is a file beside these and a line here (docs/losses.md). */
export const LOSSES = {
  grpo,
  bnpo,
  dr_grpo: drGrpo,
  dapo,
  cispo,
  cispo_minimax: cispoMinimax,
  sapo,
  luspo,
  vespo,
} as const satisfies LossRegistry;

/** Losses by TRL's names; `cispo_minimax` is CISPO as its paper has it. */
export type LossType = keyof typeof LOSSES;

/** One type that is all members of a union at once. */
type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

type OptionsOf<Formula> = Formula extends { options: infer Options } ? Options : never;

/** The schemas of all options that single losses of a registry have, by their keys. */
export type OwnFields<Losses extends LossRegistry> = Together<OptionsOf<Losses[keyof Losses]>>;

/** Gathers the options that single losses of a registry have, in the order of the losses. */
export function ownFields<Losses extends LossRegistry>(losses: Losses): OwnFields<Losses> {
  return Object.assign({}, ...Object.values(losses).map(({ options }) => options));
}

/** Everything a policy loss can be told: what all share, and the options of single ones. */
export interface LossSettings
  extends CommonLossSettings, z.output<z.ZodObject<OwnFields<typeof LOSSES>>> {
  loss_type: LossType;
}

/** TRL's defaults (`GRPOConfig`), and for options that TRL lacks the value that gives TRL's loss. */
export const LOSS_DEFAULTS: Readonly<LossSettings> = {
  loss_type: "dapo",
  ...COMMON_LOSS_DEFAULTS,
  ...z.object(ownFields(LOSSES)).parse({}),
};
