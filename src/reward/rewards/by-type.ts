import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { numericReward } from "./numeric.ts";
import { ocrReward } from "./ocr.ts";
import { optionLetterReward } from "./option-letter.ts";
import { regressionReward } from "./regression.ts";
import { defineReward, type Reward } from "../reward.ts";
import { rougeReward } from "./rouge.ts";
import { setF1Reward } from "./set-f1.ts";
import { temporalIouReward } from "./temporal-iou.ts";
import { yesNoReward } from "./yes-no.ts";

/** The reward of each problem type of HumanOmniV2, Video-R1 and EchoInk, with the source's rules. */
export const TYPE_REWARDS: Readonly<Record<string, Reward>> = {
  "multiple choice": optionLetterReward,
  numerical: numericReward(),
  OCR: ocrReward,
  "free-form": rougeReward(),
  regression: regressionReward,
  emer_ov_mc: setF1Reward(),
  judge: yesNoReward(),
  "temporal retrieval": temporalIouReward,
  counting: numericReward({ tolerance: 0 }),
};

/** Options of the reward by type. */
export interface ByTypeOptions {
  /** Problem types that other rewards judge: this one does not apply to them. */
  except?: readonly string[];
}

/**
 * Returns the reward of the row's own `problem_type`, chosen row by row, 0 to 1: `option-letter`
 * for "multiple choice", `numeric` for "numerical", `ocr` for "OCR", `rouge` for "free-form",
 * `regression`, `set-f1` for "emer_ov_mc", `yes-no` for "judge", `temporal-iou` for "temporal
 * retrieval" and `numeric` with tolerance 0 for "counting".
 *
 * Source: HumanMLLM/HumanOmniV2 `accuracy_reward` (9bf0e6f, 2025-07-01), tulerfeng/Video-R1 (59d65c3)
 * for "free-form" and HarryHsing/EchoInk (3f6d16a) for the last two. Those take the type of a
 * batch's first row for every row, and score 0 where they know no type.
 *
 * @throws {DataError} `unknown-problem-type` that names the row.
 */
export function byTypeReward({ except = [] }: ByTypeOptions = {}): Reward {
  return defineReward("by-type", (completion, row) => {
    const type = row.problem_type;
    if (type !== undefined && except.includes(type)) return null;
    const reward = Object.hasOwn(TYPE_REWARDS, type ?? "") ? TYPE_REWARDS[type!] : undefined;
    if (reward !== undefined) return reward.score(completion, row);
    const found = type === undefined ? "has no problem_type" : `has problem_type ${quoted(type)}`;
    throw new DataError("unknown-problem-type", `Row ${row.id} ${found}.`, {
      hint: `Known are ${Object.keys(TYPE_REWARDS).join(", ")}; list others under options.except.`,
    });
  });
}
