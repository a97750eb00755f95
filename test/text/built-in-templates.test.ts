/**
 * The built-in templates against transformers, which rendered 300 random conversations of each
 * family from the same template texts (test/golden/text/make_prompts.py).
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import {
  OMNI_CHAT_TEMPLATE,
  QWEN2_5_VL_CHAT_TEMPLATE,
  QWEN2_AUDIO_CHAT_TEMPLATE,
} from "../../src/text/built-in-templates.ts";
import { ChatTemplate, type Conversation, mediaParts } from "../../src/text/chat-template.ts";
import { parseConversation } from "../../src/text/conversation.ts";

type Family = "omni" | "vl" | "audio";
/** Flags: generation prompt, vision ids, audio ids. The hash is the start of a SHA-256. */
type Case = [Family, flags: string, messages: unknown, hash: string, text?: string];

const golden = JSON.parse(
  await readFile(new URL("../golden/text/prompts.json", import.meta.url), "utf8"),
) as { templates: Record<Family, string>; defaultAudio: string; cases: Case[] };
const templates: Record<Family, string> = {
  omni: OMNI_CHAT_TEMPLATE,
  vl: QWEN2_5_VL_CHAT_TEMPLATE,
  audio: QWEN2_AUDIO_CHAT_TEMPLATE,
};
const HELPFUL = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";

it("are the texts that transformers rendered, and Qwen2-Audio's is its own default", () => {
  expect(templates).toEqual(golden.templates);
  expect(QWEN2_AUDIO_CHAT_TEMPLATE).toBe(golden.defaultAudio);
});

describe.each(["omni", "vl", "audio"] as const)("the template of %s", (family) => {
  const template = new ChatTemplate(templates[family]);
  const cases = golden.cases.filter(([of]) => of === family);

  it("renders 300 random conversations as transformers does", () => {
    expect(cases.length).toBe(300);
    const wrong = cases.flatMap(([, flags, messages, hash, text]) => {
      const [addGenerationPrompt, addVisionId, addAudioId] = flags.split("").map((f) => f === "1");
      const options = { addGenerationPrompt, addVisionId, addAudioId } as Record<string, boolean>;
      const got = template.render(parseConversation(messages, "row"), options);
      const digest = createHash("sha256").update(got).digest("hex").slice(0, 16);
      return digest === hash && got === (text ?? got)
        ? []
        : [{ messages, got, want: text ?? hash }];
    });
    expect(wrong).toEqual([]);
  });

  it("writes one placeholder for each part, in the order of mediaParts", () => {
    const placeholders = {
      omni: { "<|IMAGE|>": "image", "<|AUDIO|>": "audio", "<|VIDEO|>": "video" },
      vl: { "<|image_pad|>": "image", "<|video_pad|>": "video" },
      audio: { "<|AUDIO|>": "audio" },
    }[family] as Record<string, string>;
    const kinds = Object.values(placeholders);
    for (const [, , messages] of cases) {
      const conversation = withoutTokens(parseConversation(messages, "row"));
      const wanted = mediaParts(conversation).map(({ type }) => type);
      const found = template.render(conversation).match(/<\|(\w+)\|>/g)!;
      expect(found.flatMap((token) => placeholders[token] ?? [])).toEqual(
        wanted.filter((type) => kinds.includes(type)),
      );
    }
  });
});

/** The conversation with texts that name no special token. */
function withoutTokens(conversation: Conversation): Conversation {
  return conversation.map(({ role, content }) => ({
    role,
    content:
      typeof content === "string"
        ? content.replaceAll("<|", "")
        : content.filter((part) => part.type !== "text"),
  }));
}

describe("prompts of the documentation", () => {
  const question = { type: "text", text: "Q?" };

  it("Qwen2.5-VL with a video, and with numbered pictures", () => {
    const vl = new ChatTemplate(QWEN2_5_VL_CHAT_TEMPLATE);
    const video = parseConversation(
      [{ role: "user", content: [{ type: "video", video: "a.mp4" }, question] }],
      "row",
    );
    expect(vl.render(video)).toBe(
      `${HELPFUL}<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>Q?<|im_end|>\n` +
        "<|im_start|>assistant\n",
    );
    const image = { type: "image", image: "a.png" };
    const two = parseConversation([{ role: "user", content: [image, image] }], "row");
    expect(vl.render(two, { addVisionId: true })).toContain(
      "Picture 1: <|vision_start|><|image_pad|><|vision_end|>" +
        "Picture 2: <|vision_start|><|image_pad|><|vision_end|><|im_end|>",
    );
  });

  it("Qwen2-Audio over two turns", () => {
    const audio = (text: string) => ({
      role: "user",
      content: [
        { type: "audio", audio_url: "a.wav" },
        { type: "text", text },
      ],
    });
    const conversation = parseConversation(
      [audio("What is it?"), { role: "assistant", content: "Glass." }, audio("And this?")],
      "row",
    );
    expect(new ChatTemplate(QWEN2_AUDIO_CHAT_TEMPLATE).render(conversation)).toBe(
      `${HELPFUL}<|im_start|>user\nAudio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\nWhat is it?` +
        "<|im_end|>\n<|im_start|>assistant\nGlass.<|im_end|>\n<|im_start|>user\nAudio 2: " +
        "<|audio_bos|><|AUDIO|><|audio_eos|>\nAnd this?<|im_end|>\n<|im_start|>assistant\n",
    );
  });
});
