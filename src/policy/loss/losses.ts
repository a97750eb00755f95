import { bnpo } from "./bnpo.ts";
import { cispo, cispoMinimax } from "./cispo.ts";
import { dapo } from "./dapo.ts";
import { drGrpo } from "./dr-grpo.ts";
import type { PolicyFormula } from "./formula.ts";
import { grpo } from "./grpo.ts";
import { luspo } from "./luspo.ts";
import { sapo } from "./sapo.ts";
import { vespo } from "./vespo.ts";

/** Every loss by its name: a new one is a file beside these and a line here. */
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
} as const satisfies Readonly<Record<string, PolicyFormula>>;

/** Losses by TRL's names; `cispo_minimax` is CISPO as its paper has it. */
export type LossType = keyof typeof LOSSES;
