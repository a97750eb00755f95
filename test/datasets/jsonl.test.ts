import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openJsonl } from "../../src/datasets/jsonl/dataset.ts";

describe("prompts of a JSON Lines file", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "jsonl-"))));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const open = async (...lines: (object | string)[]) => {
    const path = join(folder, "rows.jsonl");
    const texts = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
    await writeFile(path, texts.join("\n"));
    return openJsonl(path);
  };
  const user = (...content: object[]) => [{ role: "user", content }];
  const text = { type: "text", text: "What is it?" };
  const good = { prompt: user(text), answer: "A" };

  it("are read with their media beside the file", async () => {
    const set = await open(
      {
        id: "first",
        prompt: user({ type: "video", video: "a/b.mp4" }, { type: "audio", audio: "/c.wav" }, text),
        ...{ answer: "B", options: ["cat", "dog"], problem_type: "multiple choice", question: "q" },
      },
      "",
      { messages: [{ role: "user", content: "How many?" }], solution: 7 },
    );
    expect(set.length).toBe(2);
    expect(set.row(0)).toMatchObject({
      ...{ id: "first", answer: "B", options: ["cat", "dog"], kind: "multiple choice" },
      mediaNames: `${join(folder, "a/b.mp4")}, /c.wav`,
    });
    expect(set.row(1)).toEqual({
      ...{ id: "rows.jsonl:3", place: "rows.jsonl:3", answer: "7", kind: "all", mediaNames: "" },
      conversation: [{ role: "user", content: "How many?" }],
      columns: { messages: [{ role: "user", content: "How many?" }], solution: 7 },
    });
  });

  it("may say how many completions they are asked for", async () => {
    const set = await open({ ...good, num_generations: 16 }, good);
    expect([0, 1].map((i) => set.row(i).num_generations)).toEqual([16, undefined]);
  });

  it("without a prompt are asked by a template, options and media in it", async () => {
    const set = await open({
      ...{ question: "Who speaks?", options: ["a man", "a child"], answer: "B" },
      ...{ problem_type: "multiple choice", media: [{ type: "audio", audio: "x.wav" }] },
    });
    const [turn] = set.row(0).conversation;
    const content = turn!.content as { type: string; audio?: string; text?: string }[];
    expect(content[0]).toEqual({ type: "audio", audio: join(folder, "x.wav") });
    expect(content[1]!.text).toMatch(/Who speaks\?[^]*a man[^]*a child/);
    expect(set.row(0).mediaNames).toBe(join(folder, "x.wav"));
  });

  it.each([
    ["no object", [[1]], /rows\.jsonl:1: the line is no object/],
    [
      "a slip of the pen",
      [{ prompt: user(text), anwser: "B" }],
      /rows\.jsonl:1: the key "anwser" is not known\. Did you mean "answer"\?/,
    ],
    ["an empty question", [{ question: " ", answer: "A" }], /rows\.jsonl:1: its question is empty/],
    ["an empty prompt", [{ ...good, prompt: "" }], /rows\.jsonl:1: its prompt is empty/],
    [
      "several rows at once",
      [good, { answer: "A" }, { ...good, options: "x" }],
      /2 of 3 rows are wrong\. rows\.jsonl:2: .* rows\.jsonl:3: options are/,
    ],
    [
      "prompt and media",
      [{ ...good, media: [{ type: "audio", audio: "x.wav" }], prompt: "Hi <audio> <audio>" }],
      /rows\.jsonl:1: the prompt has 2 places for audio .* names 1/,
    ],
    [
      "a tag without a medium",
      [{ messages: [{ role: "user", content: "<video>Which?" }], solution: "B" }],
      /rows\.jsonl:1: the prompt has 1 place for video .* names 0 besides\. Name as many under videos/,
    ],
    [
      "a part without a file",
      [{ ...good, prompt: user({ type: "image" }, text) }],
      /rows\.jsonl:1: the prompt has 1 place for image/,
    ],
    [
      "two answers",
      [{ ...good, solution: "B" }],
      /rows\.jsonl:1: it has both answer and solution\. Leave one/,
    ],
    [
      "two prompts",
      [{ ...good, problem: "Which?" }],
      /rows\.jsonl:1: it has both prompt and problem\./,
    ],
    ["no question", [{ answer: "A" }], /rows\.jsonl:1: it has neither prompt nor question/],
    ["media", [{ question: "q", answer: "A", media: "x.wav" }], /:1: media are "x\.wav"/],
    ["a group of one", [{ ...good, num_generations: 1 }], /:1: num_generations is 1\. Give .* 2/],
    ["a group", [{ ...good, num_generations: "8" }], /:1: num_generations is "8"/],
    ["options", [{ ...good, options: "cat" }], /:1: options are "cat"\. Give a list of texts/],
    [
      "an id twice",
      [
        { ...good, id: "x" },
        { ...good, id: "x" },
      ],
      /:2: id "x" is that of rows\.jsonl:1/,
    ],
    ["an answered prompt", [{ ...good, prompt: [{ role: "assistant", content: "A" }] }], /:1: the/],
    ["a part", [{ ...good, prompt: user({ type: "smell" }) }], /rows\.jsonl:1: messages\[0\]/],
    ["no JSON", ["{"], /rows\.jsonl:1 is not one JSON value/],
    ["nothing", [], /rows\.jsonl: it has no row/],
  ] as [string, (object | string)[], RegExp][])(
    "name what is wrong: %s",
    async (_, lines, want) => {
      await expect(open(...lines)).rejects.toThrow(want);
    },
  );
});
