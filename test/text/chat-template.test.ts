import { OMNI_CHAT_TEMPLATE } from "../../src/text/built-in-templates.ts";
import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "../../src/core/errors.ts";
import { ChatTemplate, type Conversation, findChatTemplate } from "../../src/text/chat-template.ts";

const omni = new ChatTemplate(OMNI_CHAT_TEMPLATE);
const SYSTEM =
  "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of " +
  "perceiving auditory and visual inputs, as well as generating text and speech.";
const HELPFUL = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";

describe("the built-in Omni template", () => {
  it("renders system, video and text", () => {
    const conversation: Conversation = [
      { role: "system", content: [{ type: "text", text: SYSTEM }] },
      { role: "user", content: [{ type: "video" }, { type: "text", text: "Q?" }] },
    ];
    expect(omni.render(conversation)).toBe(
      `<|im_start|>system\n${SYSTEM}<|im_end|>\n<|im_start|>user\n` +
        "<|vision_bos|><|VIDEO|><|vision_eos|>Q?<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  it("adds the default system turn and renders audio, image, answer and follow-up", () => {
    const conversation: Conversation = [
      {
        role: "user",
        content: [
          { type: "audio", audio: "a.wav" },
          { type: "image", image: "b.png" },
          { type: "text", text: "Q?" },
        ],
      },
      { role: "assistant", content: "A." },
      { role: "user", content: "More?" },
    ];
    const expected =
      `${HELPFUL}<|im_start|>user\n<|audio_bos|><|AUDIO|><|audio_eos|>` +
      "<|vision_bos|><|IMAGE|><|vision_eos|>Q?<|im_end|>\n<|im_start|>assistant\nA.<|im_end|>\n" +
      "<|im_start|>user\nMore?<|im_end|>\n<|im_start|>assistant\n";
    expect(omni.render(conversation)).toBe(expected);
    expect(omni.render(conversation, { addGenerationPrompt: false })).toBe(
      expected.slice(0, -"<|im_start|>assistant\n".length),
    );
    expect(omni.render(conversation, { addVisionId: true, addAudioId: true })).toBe(
      expected
        .replace("<|audio_bos|>", "Audio 1: <|audio_bos|>")
        .replace("<|vision_bos|>", "Picture 1: <|vision_bos|>"),
    );
  });

  it("renders a video and a separate audio, numbered over the whole conversation", () => {
    const content = [
      { type: "video", video: undefined },
      { type: "audio" },
      { type: "text", text: "Q?" },
    ] as never;
    const turn =
      "<|im_start|>user\n<|vision_bos|><|VIDEO|><|vision_eos|><|audio_bos|><|AUDIO|>" +
      "<|audio_eos|>Q?<|im_end|>\n";
    expect(omni.render([{ role: "user", content }])).toBe(
      `${HELPFUL}${turn}<|im_start|>assistant\n`,
    );
    const twice = omni.render(
      [
        { role: "user", content },
        { role: "user", content },
      ],
      { addVisionId: true },
    );
    expect(twice).toMatch(/Video 1: [^]*Video 2: /);
  });

  it("does not escape text, nor take braces in it for its own", () => {
    const text = "<b> & {{ x }} {% endif %} \u00e9\n\n";
    expect(omni.render([{ role: "user", content: text }])).toContain(`user\n${text}<|im_end|>`);
  });
});

describe("templates of checkpoints", () => {
  it("are looked for in the order of transformers", () => {
    const json = JSON.stringify({ chat_template: "json" });
    const named = [{ name: "tool" }, { name: "default", template: "second" }];
    const tokenizerConfig = JSON.stringify({ chat_template: named });
    expect(findChatTemplate({ jinja: "jinja", json, tokenizerConfig })).toBe("jinja");
    expect(findChatTemplate({ json, tokenizerConfig })).toBe("json");
    expect(findChatTemplate({ json: "{}", tokenizerConfig })).toBe("second");
    expect(findChatTemplate({ tokenizerConfig: "{}" })).toBeUndefined();
    expect(() => findChatTemplate({ json: "{" })).toThrow(CheckpointError);
  });

  it("trim the newline after a block and the blanks before one", () => {
    const template = new ChatTemplate(
      "{% for m in messages %}\n  {% if true %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n",
    );
    const conversation = [
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ];
    expect(template.render(conversation)).toBe("a\nb\n");
  });

  it("fail clearly when they are broken or refuse a conversation", () => {
    expect(() => new ChatTemplate("{% if %}", "x/chat_template.jinja")).toThrow(CheckpointError);
    const picky = new ChatTemplate("{{ raise_exception('no system turn') }}");
    expect(() => picky.render([])).toThrow(DataError);
    expect(() => picky.render([])).toThrow(/no system turn/);
  });
});
