import { strip } from "../../text/python.ts";
import { defineReward, type Reward } from "../reward.ts";
import { eachOnce, findJoin } from "../../text/tags.ts";

/** Options of how strict the pattern is. */
export interface FormatContextOptions {
  /** True when every tag must stand there once and nothing may follow; the source allows both. */
  once?: boolean;
}

/**
 * 1 where the text begins with `<context>.*?</context>\s*<think>.*?</think>\s*<answer>.*?</answer>`,
 * dots matching line feeds too; 0 otherwise. Text after the pattern is allowed, before it is not.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `format_reward` (9bf0e6f,
 * 2025-07-01).
 */
export function formatContextReward({ once = false }: FormatContextOptions = {}): Reward {
  return defineReward("format-context", ({ text }) => {
    if (!text.startsWith("<context>")) return 0;
    const thought = findJoin(text, "context", "think", "<context>".length);
    const answer = thought && findJoin(text, "think", "answer", thought.end);
    if (answer === undefined || !text.includes("</answer>", answer.end)) return 0;
    if (!once) return 1;
    const alone = eachOnce(text, ["context", "think", "answer"]);
    return alone && strip(text).endsWith("</answer>") ? 1 : 0;
  });
}
