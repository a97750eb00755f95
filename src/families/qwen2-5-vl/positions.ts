import { type LayoutConfig, layoutPrompt } from "../../prompt/layout.ts";
import type { Layout } from "../family.ts";

/**
 * Three-axis positions; a temporal slice of a video advances by its seconds times
 * `tokens_per_second`, computed in float32 and truncated.
 *
 * transformers 4.57.6 cuts the seconds to a whole number first, which stops the time of a video
 * that is sampled at more than 2 frames a second; Qwen's training code, followed here, does not.
 *
 * Source: QwenLM/Qwen2.5-VL, qwen-vl-finetune rope2d.py (get_rope_index_25).
 */
export function vlLayout(config: LayoutConfig): Layout {
  return (ids, media, { tokens, row }) => layoutPrompt(ids, media, tokens, config, row);
}
