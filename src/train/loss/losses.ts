import { bnpo } from "./bnpo.ts";
import { cispo, cispoMinimax } from "./cispo.ts";
import { dapo } from "./dapo.ts";
import { drGrpo } from "./dr-grpo.ts";
import type { PolicyFormula } from "./formula.ts";
import { grpo } from "./grpo.ts";
import { luspo } from "./luspo.ts";
import { sapo } from "./sapo.ts";
import type { LossType } from "./settings.ts";
import { vespo } from "./vespo.ts";

/** Every loss by its name. A new one is a file beside these, a line here and a name in `LossType`. */
export const LOSSES: Readonly<Record<LossType, PolicyFormula>> = {
  grpo,
  bnpo,
  dr_grpo: drGrpo,
  dapo,
  cispo,
  cispo_minimax: cispoMinimax,
  sapo,
  luspo,
  vespo,
};
