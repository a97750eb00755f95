import { goldNumber, readPlain } from "./numeric.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/**
 * 1 minus the relative error, 0 to 1: error = (|answer - right| + 1e-9) / (|right| + 1e-9), at most
 * 1. Commas are dropped; an answer that is no number, infinite or NaN scores 0. As in the source, a
 * right answer of 0 cannot be met.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `accuracy_reward`, type
 * "regression" (9bf0e6f, 2025-07-01), where the answer "nan" scores 1.
 *
 * @throws {DataError} `gold-not-a-number` when the row's answer is none.
 */
export const regressionReward: Reward = defineReward("regression", ({ text }, row) => {
  const right = goldNumber(readPlain(goldOf(row)), row);
  const value = readPlain(firstBlock(text, "answer") ?? "");
  if (value === undefined) return 0;
  return 1 - Math.min(1, (Math.abs(value - right) + 1e-9) / (Math.abs(right) + 1e-9));
});
