import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DataContext, DataRow, OpenedData } from "../../../src/data/dataset.ts";
import { openData } from "../../../src/datasets/open.ts";
import { dataSchema } from "../../../src/datasets/schema.ts";
import { mediaParts } from "../../../src/text/chat-template.ts";
import { RELEASES } from "./fixtures.ts";

const root = mkdtempSync(join(tmpdir(), "aubade-releases-"));
beforeAll(() => {
  for (const [name, files] of Object.entries(RELEASES)) {
    for (const [file, rows] of Object.entries(files)) writeRows(join(root, name, file), rows);
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function writeRows(path: string, rows: string | object[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const lines = /line\.json$|\.jsonl$|\/qa\//.test(path);
  const text =
    typeof rows === "string"
      ? rows
      : lines
        ? rows.map((row) => JSON.stringify(row)).join("\n")
        : JSON.stringify(rows, null, 1);
  writeFileSync(path, text);
}

function open(
  name: string,
  settings: object = {},
  context: Partial<DataContext> = {},
): Promise<OpenedData> {
  const section = dataSchema.parse({ name, path: join(root, name), ...settings });
  return openData(section, { split: "train", questions: null, ...context });
}

const rowsOf = ({ set }: OpenedData): DataRow[] =>
  Array.from({ length: set.length }, (_, index) => set.row(index));

const textOf = ({ conversation }: DataRow): string => {
  const content = conversation.at(-1)!.content;
  return typeof content === "string"
    ? content
    : content.flatMap((part) => ("text" in part ? [part.text] : [])).join("");
};

const said = (text: string) => ({ text, ids: [], finished: true, index: 0, draw: 0 });

describe("Daily-Omni", () => {
  it("gives rows with the clip's sound interleaved, apart, or left out", async () => {
    const [row] = rowsOf(await open("daily-omni"));
    expect(row).toMatchObject({
      id: "qa.json row 1",
      answer: "B",
      problem_type: "multiple choice",
    });
    expect(textOf(row!)).toMatch(
      /^Which sound comes with the falling cup\?\nA\. a bell\nB\. a splash/,
    );
    const video = join(root, "daily-omni", "Videos/clipOne/clipOne_video.mp4");
    expect(mediaParts(row!.conversation)).toEqual([
      { type: "video", video, use_audio_in_video: true },
    ]);
    const settings = { sound: "apart", video: { nframes: 8 } };
    const [apart] = rowsOf(await open("daily-omni", settings));
    expect(mediaParts(apart!.conversation)).toEqual([
      { type: "video", video, nframes: 8 },
      { type: "audio", audio: video.replace("video.mp4", "audio.wav") },
    ]);
    const [silent] = rowsOf(await open("daily-omni", { sound: "none" }));
    expect(mediaParts(silent!.conversation)).toEqual([{ type: "video", video }]);
  });

  it("counts a type once, however it is spelled, and categories and lengths", async () => {
    const opened = await open("daily-omni");
    expect(rowsOf(opened).map((row) => opened.scorer!.categories!(row))).toEqual([
      ["AV Event Alignment", "Home", "30s"],
      ["Context understanding", "Street", "60s"],
      ["Context understanding", "Street", "60s"],
    ]);
  });

  it("scores by the authors' rule: where no letter begins the answer, it leaves the denominator", async () => {
    const opened = await open("daily-omni");
    const [row] = rowsOf(opened);
    const official = (text?: string) => opened.official!.score(text, row!);
    expect(["B", " B. a splash", "Because", "A", "The answer is B", ""].map(official)).toEqual([
      ...[1, 1, 1, 0, null, null],
    ]);
    expect(official(undefined)).toBeNull();
    expect(await opened.scorer!.score(said("The answer is B"), row!)).toMatchObject({ overall: 1 });
  });

  it("leaves out clips that a list names, and refuses names that nothing has", async () => {
    writeFileSync(join(root, "leave.txt"), "clipTwo\n");
    const opened = await open("daily-omni", { exclude: [join(root, "leave.txt")] });
    expect(rowsOf(opened).map(({ id }) => id)).toEqual(["qa.json row 1"]);
    writeFileSync(join(root, "wrong.json"), '["clipTwo", "clipSix"]');
    await expect(open("daily-omni", { exclude: [join(root, "wrong.json")] })).rejects.toThrow(
      /wrong\.json: 1 of 2 ids are of no row, such as "clipSix"/,
    );
  });
});

describe("IntentBench and IntentTrain", () => {
  it("read choices, several options and judgements, by file and row", async () => {
    const rows = rowsOf(await open("intent-bench"));
    expect(rows.map(({ id, problem_type: type, answer }) => [id, type, answer])).toEqual([
      ["qa.json row 1", "multiple choice", "B"],
      ["qa.json row 2", "emer_ov_mc", "B,E"],
      ["qa.json row 3", "judge", "No"],
    ]);
    expect(textOf(rows[2]!)).toContain("answersing in one languge");
    expect(textOf(rows[2]!)).toContain("answer Yes or No");
    const files = mediaParts(rows[0]!.conversation).map((part) => "video" in part && part.video);
    expect(files).toEqual([join(root, "intent-bench", "abc_trimmed-out.mp4")]);
  });

  it("find clips in videos/ where that folder is", async () => {
    mkdirSync(join(root, "intent-bench", "videos"));
    const [row] = rowsOf(await open("intent-bench"));
    rmSync(join(root, "intent-bench", "videos"), { recursive: true });
    const [part] = mediaParts(row!.conversation);
    expect(part).toMatchObject({ video: join(root, "intent-bench/videos/abc_trimmed-out.mp4") });
  });

  it("score by HumanOmniV2's rule with its defects", async () => {
    const { set, official } = await open("intent-bench");
    const score = (row: number, text?: string) => official!.score(text, set.row(row));
    expect(score(0, "<think>x</think><answer> B </answer>")).toBe(1);
    expect(score(0, "<answer>B. angrily</answer>")).toBe(0);
    expect(score(0, "B")).toBe(1);
    // Not stripped: "B, E" shares "B" alone with "B,E".
    expect(score(1, "<answer>B, E</answer>")).toBe(0.5);
    expect(score(1, "<answer>B,E</answer>")).toBe(1);
    expect(score(1, "<answer>E</answer>")).toBeCloseTo(2 / 3, 12);
    expect(score(1, "<answer>A</answer>")).toBe(0);
    // "not" holds a "no".
    expect(score(2, "<answer>I do not know</answer>")).toBe(1);
    expect(score(2, "<answer>Yes</answer>")).toBe(0);
    // A clip that does not load stays in the denominator.
    expect(score(2, undefined)).toBe(0);
  });

  it("train on the files that are asked for, in their order", async () => {
    const rows = rowsOf(await open("intent-train"));
    expect(rows.map(({ id }) => id)).toEqual([
      "emer_rewrite.json row 1",
      "social_iq_v2_rewrite.json row 1",
    ]);
    expect(rows[1]!.columns).toMatchObject({ data_type: "video", path: "social_iq/def.mp4" });
    const [only] = rowsOf(await open("intent-train", { files: ["social_iq_v2_rewrite.json"] }));
    expect(only!.answer).toBe("D");
  });
});

describe("MMAU", () => {
  it("scores by the authors' token rule, with Python's words", async () => {
    const { set, official, scorer } = await open("mmau");
    const row = set.row(0);
    expect(row.id).toBe("m-1");
    const score = (text?: string) => official!.score(text, row);
    expect(score("It is Caf\u00e9 del Mar.")).toBe(1);
    // Unicode words: an ASCII reading would take "caf" for the word.
    expect(score("Cafe del Mar")).toBe(0);
    // A word of another choice, here "A" of "A march" and "of" of "One of Bach".
    expect(score("A piece: Caf\u00e9 del Mar")).toBe(0);
    expect(score("the music of Caf\u00e9 del Mar")).toBe(0);
    expect(score("")).toBe(0);
    expect(score(undefined)).toBeNull();
    expect(scorer!.categories!(row)).toEqual(["music", "hard", "Genre"]);
    expect(textOf(row)).toContain("Select one option from the provided choices.");
  });
});

describe("MMSU", () => {
  it("reads both layouts and scores by the authors' rule", async () => {
    const { set, official, scorer } = await open("mmsu");
    const [first, second] = [set.row(0), set.row(1)];
    expect(first.options).toEqual(["red", "blue", "green"]);
    expect(second).toMatchObject({ id: "metadata.jsonl:2", answer_index: 1 });
    const score = (text?: string, row = first) => official!.score(text, row);
    expect(score("B")).toBe(1);
    expect(score("Because it is red")).toBe(1);
    expect(score("Audio says blue")).toBe(0);
    expect(score("The answer is B.")).toBe(1);
    expect(score("the answer is blue")).toBeNull();
    expect(score("")).toBe(0);
    expect(score("None")).toBe(0);
    expect(score(undefined)).toBeNull();
    expect(score("D")).toBe(0);
    expect(score("B", second)).toBe(1);
    expect(scorer!.categories!(second)).toEqual(["Reasoning"]);
  });
});

describe("AVQA", () => {
  it("reads r1-aqa's lines: the place of the answer, and sound in the place of a video", async () => {
    const [row] = rowsOf(await open("avqa"));
    expect(row).toMatchObject({
      question: "What is the source of the sound in the audio?",
      answer_index: 2,
      options: ["train", "dog", "tap", "car"],
    });
    expect(mediaParts(row!.conversation)).toEqual([
      { type: "audio", audio: join(root, "avqa", "audio/-HG3Omg_89c_30.wav") },
    ]);
  });
});

describe("Social-IQ 2.0", () => {
  it("knows rows by their place, since questions share a qid, and answers by their place", async () => {
    const rows = rowsOf(await open("social-iq"));
    expect(rows.map(({ id, answer_index: index }) => [id, index])).toEqual([
      ["qa_train.json:1", 2],
      ["qa_train.json:2", 1],
    ]);
    expect(rows[0]!.options).toEqual(["a call", "a fall", "a song", "a door"]);
    const [part] = mediaParts(rows[0]!.conversation);
    expect(part).toMatchObject({ video: join(root, "social-iq/video/abc.mp4") });
  });
});

describe("AVQA-R1-6K", () => {
  it("has a file for each split, a picture and a sound a row", async () => {
    const [row] = rowsOf(await open("avqa-r1-6k"));
    expect(row).toMatchObject({ answer: "B", id: "omni_rl_format_train.json row 1" });
    expect(mediaParts(row!.conversation)).toEqual([
      { type: "image", image: join(root, "avqa-r1-6k/train/images/0.jpg") },
      { type: "audio", audio: join(root, "avqa-r1-6k/train/audios/0.wav") },
    ]);
    const held = await open("avqa-r1-6k", {}, { split: "held-out" });
    const [asked] = rowsOf(held);
    expect(asked!.answer).toBe("A");
    const score = (text?: string) => held.official!.score(text, asked!);
    expect([score("<answer> A </answer>"), score("A"), score("A. one"), score(undefined)]).toEqual([
      1, 1, 0, 0,
    ]);
  });
});

describe("AudioMCQ", () => {
  it("splits by sound: none is on both sides, and every row on one", async () => {
    const train = rowsOf(await open("audio-mcq", { held_out: 0.2 }));
    const held = rowsOf(await open("audio-mcq", { held_out: 0.2 }, { split: "held-out" }));
    expect(train.length + held.length).toBe(400);
    const soundsOf = (rows: DataRow[]) => new Set(rows.map(({ mediaNames }) => mediaNames));
    const heard = soundsOf(train);
    expect([...soundsOf(held)].filter((sound) => heard.has(sound))).toEqual([]);
    // 200 sounds, a fifth of them held out: within four deviations of 40.
    expect(Math.abs(soundsOf(held).size - 40)).toBeLessThan(4 * Math.sqrt(200 * 0.2 * 0.8));
    expect(rowsOf(await open("audio-mcq", { held_out: 0 }))).toHaveLength(400);
  });
});

describe("conversations in LLaVA's form", () => {
  it("become prompts whose last turn is the answer, with frames as meta says", async () => {
    const [first, second] = rowsOf(await open("conversations"));
    expect(first).toMatchObject({ id: "c-1", answer: "(1) run (3) sit" });
    expect(first!.conversation.map(({ role }) => role)).toEqual(["user"]);
    expect(mediaParts(first!.conversation)).toEqual([
      {
        type: "video",
        video: join(root, "conversations/clips/one.mp4"),
        min_frames: 4,
        max_frames: 8,
      },
    ]);
    expect(textOf(first!)).toContain("Which actions are seen? (1) run");
    expect(second!.answer).toBe("(B)");
  });

  it("keep their answer for supervised training", async () => {
    const [row] = rowsOf(await open("conversations", {}, { answered: true }));
    expect(row!.conversation.at(-1)).toMatchObject({ role: "assistant" });
    expect(textOf(row!)).toBe("<answer>(1) run (3) sit</answer>");
  });
});

describe("rows that are not as published", () => {
  it.each([
    [
      "daily-omni",
      "qa.json",
      [{ Question: "x" }],
      /qa\.json row 1: video_id is missing; it must be a text/,
    ],
    [
      "mmau",
      "mmau-test-mini.json",
      [{ id: "a", question: "q", choices: "['a', 'b']", answer: "a", audio_id: "a.wav" }],
      /row 1: choices is "\['a', 'b'\]"; it must be a list of texts/,
    ],
    [
      "avqa",
      "data/AVQA/train_r1aqa_line.json",
      [{ question_text: "q", multi_choice: ["a"], answer: 4, audio_path: "a", video_name: "v" }],
      /line\.json:1: answer is 4; it must be the place of one of 1 choices, from 0/,
    ],
    ["mmau", "mmau-test-mini.json", [3], /row 1: it is no object/],
    [
      "conversations",
      "train.json",
      [
        {
          conversations: [
            { from: "human", value: "x" },
            { from: "human", value: "y" },
          ],
        },
      ],
      /row 1: its last turn is by user, not by gpt/,
    ],
    [
      "social-iq",
      "qa/qa_train.json",
      [{ qid: "q", q: "Q", vid_name: "v", a0: "1", a1: "2", a2: "3", a3: "4" }],
      /answer_idx is undefined; it must be 0 to 3/,
    ],
    [
      "avqa-r1-6k",
      "train/omni_rl_format_train.json",
      [{ problem: "x", options: ["A. a"], path: { image: "a.jpg" } }],
      /row 1: path names no image and audio/,
    ],
  ])("of %s are refused with file, row and key", async (name, file, rows, message) => {
    const path = join(root, `wrong-${name}`);
    writeRows(join(path, file), rows as object[]);
    await expect(open(name, { path })).rejects.toThrow(message);
  });
});
