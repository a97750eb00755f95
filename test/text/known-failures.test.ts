/**
 * Failures between text and media (docs/failures.md), as far as templates and tokenizers are
 * concerned; placeholders and media that do not pair up are tested in test/prompt/.
 */
import { describe, expect, it } from "vitest";
import {
  OMNI_CHAT_TEMPLATE,
  QWEN2_5_VL_CHAT_TEMPLATE,
  QWEN2_AUDIO_CHAT_TEMPLATE,
} from "../../src/text/built-in-templates.ts";
import { ChatTemplate, type ContentPart, mediaParts } from "../../src/text/chat-template.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { omniTokenizerText, qwenTokenizerText } from "./real-tokenizer.ts";

const omni = Tokenizer.fromJson(omniTokenizerText());
const vl = Tokenizer.fromJson(qwenTokenizerText);
const text = (value: string): ContentPart => ({ type: "text", text: value });
const PLACEHOLDERS = { audio: 151_646, image: 151_655, video: 151_656 };

describe.each([
  { family: "omni", tokenizer: omni, template: OMNI_CHAT_TEMPLATE },
  { family: "vl", tokenizer: vl, template: QWEN2_5_VL_CHAT_TEMPLATE },
  { family: "audio", tokenizer: omni, template: QWEN2_AUDIO_CHAT_TEMPLATE },
])("F2, data attached without a placeholder: $family", ({ family, tokenizer, template }) => {
  const kinds = { omni: ["audio", "image", "video"], vl: ["image", "video"], audio: ["audio"] }[
    family
  ] as ("audio" | "image" | "video")[];
  const placeholders = (content: string | ContentPart[]) =>
    tokenizer
      .encode(new ChatTemplate(template).render([{ role: "user", content }]))
      .filter((id) => kinds.some((kind) => PLACEHOLDERS[kind] === id));

  it("every part that the family takes becomes one id, in order, next to any text", () => {
    const sequences = kinds.flatMap((a) => kinds.map((b) => [a, b, a]));
    for (const sequence of sequences) {
      for (const beside of ["", "Q?", "\n", "<|", "|>", "\u0301", " \u0338"]) {
        const content = sequence.flatMap((type): ContentPart[] => [{ type }, text(beside)]);
        expect(placeholders(content)).toEqual(sequence.map((kind) => PLACEHOLDERS[kind]));
      }
    }
  });

  it("a text alone has none, whatever is attached to the row besides", () => {
    expect(placeholders("Describe the audio <audio>, <image> and [video].")).toEqual([]);
  });

  it("a part that the family does not take has none, and still counts as a medium", () => {
    for (const type of (["audio", "image", "video"] as const).filter((k) => !kinds.includes(k))) {
      expect(placeholders([{ type }, text("Q?")])).toEqual([]);
      expect(mediaParts([{ role: "user", content: [{ type }] }]).length).toBe(1);
    }
  });

  it("media tokens typed in a text are placeholders as in the reference, without a medium", () => {
    const typed = kinds.map((kind) => tokenizer.decode([PLACEHOLDERS[kind]])).join("x");
    for (const content of [typed, [text(typed)]]) {
      expect(placeholders(content)).toEqual(kinds.map((kind) => PLACEHOLDERS[kind]));
      expect(mediaParts([{ role: "user", content }])).toEqual([]);
    }
  });
});

it("media wrapped by hand: the ids stay as typed, so the video stands alone in them", () => {
  const wrapped = "<|vision_bos|><|audio_bos|><|VIDEO|><|audio_eos|><|vision_eos|>";
  expect(omni.encode(wrapped)).toEqual([151_652, 151_647, 151_656, 151_648, 151_653]);
  const prompt = new ChatTemplate(OMNI_CHAT_TEMPLATE).render([{ role: "user", content: wrapped }]);
  expect(prompt).toContain(`user\n${wrapped}<|im_end|>`);
});
