import { layoutPrompt } from "../../prompt/layout.ts";
import type { Layout } from "../family.ts";

/**
 * Plain positions, one a token. A placeholder with neither start nor end token around it gets both.
 *
 * Source: transformers 4.57.6, Qwen2AudioProcessor.__call__.
 */
export const layout: Layout = (ids, media, { tokens, row }) => {
  const { audio, audioStart, audioEnd } = tokens;
  // There are no pictures.
  const constants = { positionIdPerSeconds: 1, mergeSize: 1 };
  return layoutPrompt(ids, media, tokens, constants, row, (builder, at, medium) => {
    // Prepared prompts come without a tokenizer to name these; they have what they need.
    if (audioStart === undefined || audioEnd === undefined) return 0;
    const enclosed = ids[at - 1] === audioStart || ids[at + 1] === audioEnd;
    if (ids[at] !== audio || enclosed || medium?.kind !== "audio") return 0;
    builder.text(audioStart);
    builder.medium(medium);
    builder.text(audioEnd);
    return 1;
  });
};
