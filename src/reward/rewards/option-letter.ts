import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldText } from "../gold-text.ts";

/**
 * 1 where the first `<answer>(.*?)</answer>`, dots matching line feeds, holds exactly the row's
 * answer once both are stripped of white space; 0 otherwise, and 0 without the tag. Case, full stops
 * and brackets count.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `accuracy_reward`, type "multiple
 * choice" (9bf0e6f, 2025-07-01); the same in Video-R1 and EchoInk.
 *
 * @throws {DataError} `gold-empty` when the row's answer is empty, as an empty completion is.
 */
export const optionLetterReward: Reward = defineReward("option-letter", ({ text }, row) =>
  strip(firstBlock(text, "answer") ?? "") === goldText(row) ? 1 : 0,
);
