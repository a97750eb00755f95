import { describe, expect, test } from "vitest";
import { CONTEXT_SYSTEM_PROMPT, contextPrompt } from "../../../src/data/prompts/context.ts";
import { pythonList, type PromptRow } from "../../../src/data/prompts/prompt.ts";
import { PROMPTS, type PromptName } from "../../../src/data/prompts/prompts.ts";

const ROW: PromptRow = {
  id: "r",
  question: "What barks?",
  options: ["A dog", "The owner's cat"],
  media: [{ type: "audio", audio: "a.wav" }],
};

const VIDEO: PromptRow = {
  ...ROW,
  media: [
    { type: "video", video: "v.mp4" },
    { type: "audio", audio: "v.mp4" },
  ],
};

/** The text of the last turn's last part. */
function textOf(name: PromptName, row: PromptRow): string {
  const parts = PROMPTS[name](row).at(-1)!.content;
  const last = typeof parts === "string" ? undefined : parts.at(-1);
  return last?.type === "text" ? last.text : "";
}

/** Texts written out from the templates of the sources, not from the code. */
const EXPECTED: [PromptName, string][] = [
  [
    "default",
    `What barks? Please choose the answer from the following options: ['A dog', "The owner's cat"]. Output the final answer in <answer> </answer>.`,
  ],
  [
    "think",
    `What barks? Please choose the answer from the following options: ['A dog', "The owner's cat"]. Output the thinking process in <think> </think> and final answer in <answer> </answer>.`,
  ],
  [
    "think-briefly",
    `What barks? Please choose the answer from the following options: ['A dog', "The owner's cat"]. Output the thinking process (less than 50 words) in <think> </think> and final answer in <answer> </answer>.`,
  ],
  [
    "no-think",
    `What barks? Please choose the answer from the following options: ['A dog', "The owner's cat"]. Directly output the final answer in <answer> </answer>.`,
  ],
  ["new", `What barks?Select one option from the provided choices.['A dog', "The owner's cat"]`],
  [
    "intent",
    "What barks? Options:\nA. A dog\nB. The owner's cat First reason briefly between <think> </think> tags, then output only the single option letter (e.g., A, B, C, D, ...) between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>A</answer>",
  ],
  [
    "daily-omni",
    "What barks?\nA. A dog\nB. The owner's cat First reason briefly between <think> </think> tags, then output only the single option letter (e.g., A, B, C, D, ...) between <answer> </answer> tags. Format example: <think>your reasoning</think><answer>A</answer>",
  ],
  [
    "direct",
    "What barks?\nA. A dog\nB. The owner's cat\nAnswer with the letter of the right option only.",
  ],
  [
    "context-think-answer",
    "Here is a video, with the audio from the video.\nWhat barks? Options:\nA. A dog\nB. The owner's cat\n\n Please provide only the single option letter (e.g., A, B, C, D, etc.) within the <answer> </answer> tags.",
  ],
];

describe("every template", () => {
  test.each(EXPECTED)("%s", (name, text) => {
    expect(textOf(name, VIDEO)).toBe(text);
  });

  test("is tested here", () => {
    expect(EXPECTED.map(([name]) => name).sort()).toEqual(Object.keys(PROMPTS).sort());
  });

  test.each(Object.keys(PROMPTS) as PromptName[])(
    "%s puts media first, every option in",
    (name) => {
      const conversation = PROMPTS[name](VIDEO);
      expect(conversation.at(-1)).toMatchObject({ role: "user" });
      const parts = conversation.at(-1)!.content;
      expect((parts as { type: string }[]).map(({ type }) => type)).toEqual([
        ...["video", "audio", "text"],
      ]);
      for (const option of ROW.options!) expect(textOf(name, VIDEO)).toContain(option);
      expect(() => PROMPTS[name]({ ...ROW, options: [] })).toThrow(
        "Row r is a choice without options",
      );
      expect(PROMPTS[name](VIDEO)).toEqual(conversation);
    },
  );
});

describe("intent", () => {
  const ask = (problem_type: string) =>
    textOf("intent", { id: "r", question: "Q?", problem_type, media: [] });

  test("has an example for each problem type", () => {
    expect(ask("numerical")).toMatch(/^Q\? First reason .*<answer>42<\/answer>$/);
    expect(ask("judge")).toMatch(/answer Yes or No .*<answer>Yes<\/answer>$/);
    expect(ask("free-form")).toMatch(/<answer>your answer<\/answer>$/);
    expect(textOf("intent", { ...ROW, problem_type: "emer_ov_mc" })).toMatch(
      /<answer>A,E<\/answer>$/,
    );
    expect(() => ask("OCR")).toThrow('Row r has problem_type "OCR". This prompt has words for');
    expect(() => ask("emer_ov_mc")).toThrow("choice without options");
  });
});

describe("context-think-answer", () => {
  test("says whether there is sound", () => {
    const sentence = (media: PromptRow["media"]) =>
      textOf("context-think-answer", { ...ROW, media }).split("\n", 1)[0];
    const quiet = "and there is no audio information, you don't need to process the audio.";
    expect(sentence([{ type: "video" }])).toBe(`Here is the video, ${quiet}`);
    expect(sentence([{ type: "image" }])).toBe(`Here is the image, ${quiet}`);
    expect(sentence([{ type: "image" }, { type: "audio" }])).toBe(
      "Here is the image, with the coresponding audio.",
    );
    expect(sentence([{ type: "video", use_audio_in_video: true }])).toBe(
      "Here is a video, with the audio from the video.",
    );
    expect(sentence(ROW.media)).toBe("What barks? Options:");
  });

  test("has a system turn, its own or one that is given", () => {
    const first = (system?: string) => contextPrompt(VIDEO, system)[0];
    const turn = (text: string) => ({ role: "system", content: [{ type: "text", text }] });
    expect(first()).toEqual(turn(CONTEXT_SYSTEM_PROMPT));
    for (const tag of ["context", "think", "answer"]) {
      expect(CONTEXT_SYSTEM_PROMPT).toContain(`<${tag}>`);
      expect(CONTEXT_SYSTEM_PROMPT).toContain(`</${tag}>`);
    }
    expect(first("Be brief.")).toEqual(turn("Be brief."));
    expect(PROMPTS.default(ROW)).toHaveLength(1);
  });
});

describe("options", () => {
  test("past Z have no letters", () => {
    const options = (count: number) => Array.from({ length: count }, (_, at) => `o${at}`);
    const named = ["intent", "daily-omni", "context-think-answer"] as const;
    for (const name of named) {
      expect(textOf(name, { ...ROW, options: options(26) })).toContain("Z. o25");
      expect(() => textOf(name, { ...ROW, options: options(27) })).toThrow(
        "Row r has 27 options. Letters reach to Z",
      );
    }
    expect(textOf("default", { ...ROW, options: options(27) })).toContain("'o26'");
  });

  test("of no known problem type are an error, whatever it is called", () => {
    for (const name of ["intent", "context-think-answer"] as const) {
      expect(() => textOf(name, { ...ROW, problem_type: "constructor" })).toThrow(
        'Row r has problem_type "constructor"',
      );
    }
  });

  test("print as Python prints a list", () => {
    // python3 -c "print(['a', \"it's\", 'say \"hi\"', 'it\'s \"x\"', 'b\\\\s', 'l\\nf'])"
    expect(pythonList(["a", "it's", 'say "hi"', 'it\'s "x"', "b\\s", "l\nf"])).toBe(
      String.raw`['a', "it's", 'say "hi"', 'it\'s "x"', 'b\\s', 'l\nf']`,
    );
    expect(pythonList(["caf\u00e9"])).toBe("['caf\u00e9']");
    // Characters that Python does not print: a no-break space, a zero-width one, controls, private
    // use.
    const odd = "\u00a0\u200b\u0000\u007f\u2028\ufeff\u{e0001}\u3000 e\u0301\u{1f600}";
    expect(pythonList([odd])).toBe(
      String.raw`['\xa0\u200b\x00\x7f\u2028\ufeff\U000e0001\u3000` + " e\u0301\u{1f600}']",
    );
  });
});
