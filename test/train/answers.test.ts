import { describe, expect, it } from "vitest";
import type { DataRow } from "../../src/data/dataset.ts";
import { ofRows } from "../../src/data/rows.ts";
import { IGNORE } from "../../src/network/decoder/packed.ts";
import { Processor } from "../../src/model/processor.ts";
import type { LoadedMedium } from "../../src/prompt/media.ts";
import { ChatTemplate, type Conversation } from "../../src/text/chat-template.ts";
import { answeredRows } from "../../src/train/answered-rows.ts";
import { answerLessons } from "../../src/train/answer-lessons.ts";
import { clip, picture, realProcessor, sound } from "../helpers/real-processor.ts";

const omni = await realProcessor("omni");
const vl = await realProcessor("vl");
const audio = await realProcessor("audio");

const heard: LoadedMedium = { kind: "audio", audio: sound(16000, 1) };
const still: LoadedMedium = { kind: "image", file: "a.png", frame: picture(112, 84, 2) };
const seen: LoadedMedium = {
  kind: "video",
  video: clip({ totalFrames: 40, fps: 10, width: 112, height: 84 }, [0, 10, 20, 30]),
};

const says = (text: string) => ({ role: "assistant", content: text });
const asks = (...content: object[]) => ({ role: "user", content }) as Conversation[number];
const text = (value: string) => ({ type: "text", text: value });

/** Conversations with their media, and what the assistant says in each. */
const CASES: [string, Processor, Conversation, LoadedMedium[], string[]][] = [
  [
    "a sound and one answer",
    audio,
    [asks({ type: "audio", audio: "a.wav" }, text("What is this?")), says("<answer>A</answer>")],
    [heard],
    ["<answer>A</answer>"],
  ],
  [
    "two turns with media in both, a system message and an answer of several lines",
    omni,
    [
      { role: "system", content: "Be brief." },
      asks({ type: "image", image: "a.png" }, text("What is seen?")),
      says("Stripes.\n\n  Two of them."),
      asks({ type: "video", video: "a.mp4" }, text("And now?")),
      says("More stripes"),
    ],
    [still, seen],
    ["Stripes.\n\n  Two of them.", "More stripes"],
  ],
  [
    "no system message and text alone",
    vl,
    [
      asks(text("One?")),
      says("B"),
      asks(text("Two?")),
      says("C."),
      asks(text("Three?")),
      says("D"),
    ],
    [],
    ["B", "C.", "D"],
  ],
  [
    "an answer that begins with a line break, which the tokenizer joins to the prompt's",
    vl,
    [asks({ type: "image", image: "a.png" }, text("One?")), says("\n\nB")],
    [still],
    ["\n\n\nB"],
  ],
];

/** The labelled tokens as text, run by run. */
function labelledText(processor: Processor, labels: ArrayLike<number>): string[] {
  const runs: number[][] = [[]];
  for (const label of Array.from(labels)) {
    if (label === IGNORE) runs.push([]);
    else runs.at(-1)!.push(label);
  }
  return runs.filter((run) => run.length > 0).map((run) => processor.tokenizer.decode(run));
}

describe("labels of a conversation", () => {
  it.each(CASES)(
    "are the assistant's words and their end: %s",
    (_, processor, conversation, media, said) => {
      const lessons = answerLessons(processor, true);
      const sample = processor.process({ id: "r", conversation, media }, lessons.processing);
      const [tree] = lessons.trees([{ index: 0, sample }], { step: 0, seed: 0 });
      const labels = tree!.tree.promptLabels!;
      expect(labelledText(processor, labels)).toEqual(said.map((words) => `${words}<|im_end|>`));
      expect(tree!.weights.length).toBe(tree!.parts.length);
      expect(tree!.weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      // A label is the next token of the sequence itself.
      Array.from(labels).forEach((label, at) => {
        if (label !== IGNORE) expect(label).toBe(sample.inputIds[at + 1]);
      });
    },
  );

  it("are all tokens but placeholders where the loss is over the whole conversation", () => {
    const [, processor, conversation, media] = CASES[1]!;
    const lessons = answerLessons(processor, false);
    const sample = processor.process({ id: "r", conversation, media }, lessons.processing);
    const [tree] = lessons.trees([{ index: 0, sample }], { step: 0, seed: 0 });
    const places = new Set(processor.placeholderIds);
    const want = Array.from(sample.inputIds)
      .slice(1)
      .filter((id) => !places.has(id));
    const got = Array.from(tree!.tree.promptLabels!).filter((label) => label !== IGNORE);
    expect(got).toEqual(want);
    expect(got.length).toBeLessThan(sample.inputIds.length - 50);
  });

  it("are refused where a template writes an earlier turn otherwise once more follows", () => {
    const template = new ChatTemplate(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    );
    const { config, tokenizer, preprocessing } = vl;
    const processor = new Processor({ config, tokenizer, preprocessing, template });
    const conversation = [asks(text("One?")), says("Yes"), asks(text("Two?")), says("No")];
    expect(() =>
      processor.process(
        { id: "row 3", conversation, media: [] },
        { addGenerationPrompt: false, markAnswers: true },
      ),
    ).toThrow(/^row 3: the chat template does not repeat .* message 1 /);
  });
});

describe("answers of rows", () => {
  const row = async (keys: object, template: string): Promise<DataRow> => {
    const set = await ofRows([{ prompt: "Which?", ...keys }], "rows", ".", true);
    return answeredRows(set, template).row(0);
  };
  const said = async (keys: object, template = "{answer}") => {
    const last = (await row(keys, template)).conversation.at(-1)!;
    expect(last.role).toBe("assistant");
    return typeof last.content === "string"
      ? last.content
      : last.content.map((part) => ("text" in part ? part.text : "")).join("");
  };
  const options = ["a cat", "a dog"];

  it("are written by the template from the row's answer, its letter and its columns", async () => {
    expect(await said({ answer: "a dog", options })).toBe("a dog");
    expect(await said({ answer: "a dog", options }, "<answer>{letter}</answer>")).toBe(
      "<answer>B</answer>",
    );
    expect(await said({ answer_index: 0, options })).toBe("A");
    expect(await said({ answer: "B", trace: "It barks." }, "<think>{trace}</think>{answer}")).toBe(
      "<think>It barks.</think>B",
    );
    expect(await said({ answer: 7 })).toBe("7");
  });

  it("are the assistant's messages where the row ends with one", async () => {
    const messages = [
      { role: "user", content: "Which?" },
      { role: "assistant", content: "This." },
    ];
    expect(await said({ prompt: null, messages, answer: "B" })).toBe("This.");
    await expect(ofRows([{ messages }])).rejects.toThrow(/ends with an answer.*task: sft/);
  });

  it.each([
    [
      {},
      "{answer}",
      /rows\[0\]: sft\.completion wants the field "answer", of which the row has none/,
    ],
    [{ answer: "B" }, "{solution}", /wants the field "solution", of which the row has none/],
    [{ answer: "B", trace: [1] }, "{trace}", /wants the field "trace", of which the row has \[1\]/],
    [{ answer: "B", trace: "" }, "{trace}", /of which the row has none/],
  ])("that are not there are named: %j", async (keys, template, message) => {
    await expect(row(keys, template)).rejects.toThrow(message);
  });
});
