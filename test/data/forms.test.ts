/** Rows as other trainers write them, a few of each made for this test, and the files they stand in. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCsv } from "../../src/tables/csv.ts";
import { otherColumns } from "../../src/data/forms/forms.ts";
import { parseRow } from "../../src/data/forms/parse-row.ts";
import { openJsonl } from "../../src/datasets/jsonl/dataset.ts";

const read = (row: object, format?: Parameters<typeof openJsonl>[2]) =>
  parseRow(row, "rows.jsonl:1", { template: "default", format, folder: "/data" });
const user = (content: unknown) => [{ role: "user", content }];
const image = (path: string) => ({ type: "image", image: path });
const said = (text: string) => ({ type: "text", text });

describe("rows of other trainers", () => {
  it("TRL: a part without a file takes the next picture; without one it stands in front", () => {
    const asked = user([{ type: "image" }, said("Which?")]);
    for (const media of [{ image: "a.png" }, { images: ["a.png"] }]) {
      const row = read({ prompt: asked, ...media, solution: "B" });
      expect(row.conversation).toEqual(user([image("/data/a.png"), said("Which?")]));
      expect([row.answer, row.mediaNames]).toEqual(["B", "/data/a.png"]);
    }
    const plain = read({ prompt: user("Which?"), images: ["a.png", "b.png"], solution: "B" });
    expect(plain.conversation).toEqual(
      user([image("/data/a.png"), image("/data/b.png"), said("Which?")]),
    );
  });

  it("verl: tags take their media, the answer is the ground truth", () => {
    const row = read({
      data_source: "shapes",
      prompt: user("<image>What? <image>"),
      images: [{ image: "a.png" }, { bytes: null, path: "b.png" }],
      reward_model: { style: "rule", ground_truth: "B" },
      extra_info: { split: "train", index: 0 },
    });
    expect(row.conversation).toEqual(
      user([image("/data/a.png"), said("What? "), image("/data/b.png")]),
    );
    expect(row).toMatchObject({ answer: "B", columns: { data_source: "shapes" } });
  });

  it("ms-swift: tags of every kind, a video of frames among them", () => {
    const row = read({
      messages: [{ role: "system", content: "Look." }, ...user("<audio><video>Which?")],
      videos: [["1.png", "2.png"]],
      audios: ["a.wav"],
      solution: "B",
    });
    expect(row.conversation[1]).toEqual({
      role: "user",
      content: [
        { type: "audio", audio: "/data/a.wav" },
        { type: "video", video: ["/data/1.png", "/data/2.png"] },
        said("Which?"),
      ],
    });
  });

  it("EasyR1 and Video-R1: a problem with tags, and one with options for a template", () => {
    const easy = read({ problem: "<image>Which?", answer: "B", images: ["a.png"] });
    expect(easy.conversation).toEqual(user([image("/data/a.png"), said("Which?")]));
    const video = read({
      ...{ problem_id: 2, problem: "Which?", data_type: "video", path: "v.mp4" },
      ...{ problem_type: "multiple choice", options: ["A. red", "B. blue"] },
      solution: "<answer>B</answer>",
    });
    expect(video).toMatchObject({ question: "Which?", answer: "<answer>B</answer>" });
    expect(video.conversation[0]!.content[0]).toEqual({ type: "video", video: "/data/v.mp4" });
    expect(JSON.stringify(video.conversation)).toContain("A. red");
  });

  it("a named form reads its own keys and leaves others as columns", () => {
    const both = { prompt: "How?", problem: "Which?", answer: "B", images: [] };
    expect(() => read(both)).toThrow("rows.jsonl:1: it has both prompt and problem.");
    expect(read(both, "easyr1").conversation).toEqual(user("Which?"));
    expect(read(both, "aubade")).toMatchObject({ columns: { problem: "Which?" } });
  });

  it("keep all columns, and refuse only what is nearly a known key", () => {
    const row = read({ prompt: "How?", answer: "B", duration: 3.2, question_id: "q", levels: 2 });
    expect(row.columns).toMatchObject({ duration: 3.2, question_id: "q", levels: 2 });
    const bytes = { ...row.columns, raw: new Uint8Array(3) };
    const others = { duration: 3.2, question_id: "q", levels: 2, raw: "3 bytes" };
    expect(otherColumns(bytes)).toEqual(others);
    expect(otherColumns({ prompt: "How?" })).toBeUndefined();
    expect(() => read({ promt: "How?", answer: "B" })).toThrow('Did you mean "prompt"?');
    expect(() => read({ prompt: "How?", solutoin: "B" })).toThrow('Did you mean "solution"?');
  });

  it("name counts that differ and entries that name nothing", () => {
    const twice = { prompt: user("<image> and <image>"), images: ["a.png"], answer: "B" };
    expect(() => read(twice)).toThrow("has 2 places for image");
    expect(() => read({ ...twice, images: ["a.png", ""] })).toThrow(/rows\.jsonl:1: images: /);
    const odd = { problem: "?", path: "x", data_type: "smell", solution: "B" };
    expect(() => read(odd)).toThrow('data_type is "smell"');
  });
});

describe("files of rows", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "forms-"))));
  afterAll(() => rm(folder, { recursive: true }));
  const open = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(folder, name), content);
    return openJsonl(join(folder, name));
  };

  it("hold the same rows as JSON Lines, JSON array, CSV and Parquet", async () => {
    const rows = [
      { question: 'Say "red", please', options: ["red", "blue"], answer: "A", level: 1 },
      { question: "Two\nlines", options: ["x, y", "z"], answer: "B", level: 2 },
    ];
    const csv =
      'question,options,answer,level\r\n"Say ""red"", please","[""red"",""blue""]",A,1\r\n' +
      '"Two\nlines","[""x, y"",""z""]",B,2\r\n';
    const column = (name: keyof (typeof rows)[0]) => rows.map((row) => row[name]);
    const parquet = parquetWriteBuffer({
      columnData: [
        { name: "question", data: column("question"), type: "STRING" },
        { name: "options", data: column("options"), type: "JSON" },
        { name: "answer", data: column("answer"), type: "STRING" },
        { name: "level", data: [1n, 2n], type: "INT64" },
      ],
    });
    const sets = [
      await open("a.jsonl", rows.map((row) => JSON.stringify(row)).join("\n")),
      await open("a.json", JSON.stringify(rows, null, 2)),
      await open("a.csv", csv),
      await open("a.parquet", new Uint8Array(parquet)),
    ];
    for (const set of sets) {
      for (const [i, { question, options, answer, level }] of rows.entries()) {
        const row = set.row(i);
        expect(row).toMatchObject({ question, options, answer });
        expect(Number(row.columns!["level"])).toBe(level);
        expect(row.conversation).toEqual(sets[0]!.row(i).conversation);
      }
    }
    expect(new Set(sets.map(({ digest }) => digest)).size).toBe(4);
    expect(sets.map((set) => set.row(1).place)).toEqual([
      ...["a.jsonl:2", "a.json row 2", "a.csv:3", "a.parquet row 2"],
    ]);
  });

  it("in Parquet may hold pictures as bytes, as `datasets` writes them", async () => {
    const bytes = Uint8Array.of(137, 80, 78, 71, 200, 255);
    const file = parquetWriteBuffer({
      columnData: [
        { name: "problem", data: ["<image>Which?"], type: "STRING" },
        { name: "image", data: [bytes], type: "BYTE_ARRAY" },
        { name: "answer", data: ["B"], type: "STRING" },
      ],
    });
    const row = (await open("b.parquet", new Uint8Array(file))).row(0);
    const [part] = row.conversation[0]!.content as unknown as { image: { data: Uint8Array } }[];
    expect([...part!.image.data]).toEqual([...bytes]);
    expect(row.mediaNames).toBe("image of the row");
  });

  it("are named with the place that was looked at, and what is wrong in them", async () => {
    await expect(openJsonl("no/such.jsonl")).rejects.toThrow(
      `no/such.jsonl cannot be read (missing file): looked at ${process.cwd()}/no/such.jsonl.`,
    );
    await expect(open("c.parquet", "PAR1 is not enough")).rejects.toMatchObject({
      code: "bad-parquet",
    });
    await expect(open("c.json", "[{]")).rejects.toThrow(/c\.json is not a JSON array/);
    expect(() => readCsv('a,b\n"x', "f.csv")).toThrow("f.csv:2: a quote is never closed");
    expect(() => readCsv("a,b\n1\n", "f.csv")).toThrow("f.csv:2: it has 1 fields, the head 2");
    expect(() => readCsv("a,a\n1,2\n", "f.csv")).toThrow('f.csv:1: the head has two columns "a"');
    expect(readCsv("a\n[Music] What?\n", "f.csv")).toEqual([
      { value: { a: "[Music] What?" }, line: 2 },
    ]);
  });
});
