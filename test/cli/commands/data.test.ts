import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "../../../src/cli/commands/data.ts";
import type { DataReport } from "../../../src/run/data-report.ts";

/** A second of a tone as a WAV file of 32-bit floats; `bad` puts a NaN into it. */
function wav(samples: number, bad = false): Buffer {
  const file = Buffer.alloc(44 + 4 * samples);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 4 * samples, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(3, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(16_000, 24);
  file.writeUInt32LE(64_000, 28);
  file.writeUInt16LE(4, 32);
  file.writeUInt16LE(32, 34);
  file.write("data", 36);
  file.writeUInt32LE(4 * samples, 40);
  for (let i = 0; i < samples; i++) file.writeFloatLE(Math.sin(i / 9), 44 + 4 * i);
  if (bad) file.writeFloatLE(NaN, 44 + 4 * 100);
  return file;
}

describe("aubade data check", () => {
  const root = mkdtempSync(join(tmpdir(), "aubade-data-"));
  const file = (name: string) => join(root, name);
  let out = "";
  beforeAll(() => {
    writeFileSync(file("good.wav"), wav(16_000));
    copyFileSync(file("good.wav"), file("copy.wav"));
    writeFileSync(file("nan.wav"), wav(16_000, true));
    writeFileSync(file("empty.wav"), wav(0));
    const write = (name: string, rows: object[]) =>
      writeFileSync(file(name), rows.map((row) => JSON.stringify(row)).join("\n"));
    const heard = (audio: string, more: object = {}) => ({
      ...{ question: `What is heard in ${audio}?`, options: ["rain", "wind"], answer: "A" },
      ...{ media: [{ type: "audio", audio }], ...more },
    });
    write("good.jsonl", [
      heard("good.wav"),
      heard("good.wav", { answer: "B", question: "Again?" }),
    ]);
    write("held-out.jsonl", [heard("copy.wav", { question: "Other?" }), heard("good.wav")]);
    write("damaged.jsonl", [
      heard("good.wav"),
      heard("gone.wav"),
      heard("nan.wav"),
      heard("empty.wav"),
      heard("good.wav", { question: "x ".repeat(5000) }),
      heard("good.wav"),
      heard("good.wav", { question: "Twice?", options: ["rain", "rain"] }),
    ]);
    write("answers.jsonl", [
      heard("good.wav", { answer: "E" }),
      heard("good.wav", { answer: "snow" }),
    ]);
    write("rows.jsonl", [
      heard("good.wav", { id: "one" }),
      heard("good.wav", { id: "one", question: "Q" }),
      heard("good.wav", { options: "['rain', 'wind']" }),
    ]);
    writeFileSync(file("cut.jsonl"), '{"question": "What', "utf8");
    writeFileSync(
      file("c.yaml"),
      `model: { path: ${resolve("assets/tiny")} }\ndata: { name: jsonl, path: good.jsonl }\n` +
        "rollout: { max_completion_length: 16 }\ntrain: { max_tokens_per_pass: 1024 }\n",
    );
  });
  afterAll(() => rmSync(root, { recursive: true }));
  beforeEach(() => {
    out = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    return () => vi.restoreAllMocks();
  });

  const never = () => Promise.reject(new Error("an adapter was asked for"));
  async function check(...words: string[]): Promise<{ code: number; report: DataReport }> {
    const code = await main(["check", file("c.yaml"), ...words, "--json"], never);
    return { code, report: JSON.parse(out) as DataReport };
  }

  it("counts rows, answers, media and tokens of data that can be trained on", async () => {
    const { code, report } = await check();
    expect(report.faults).toEqual([]);
    expect(code).toBe(0);
    const [train] = report.sets;
    expect(train).toMatchObject({
      ...{ use: "train", rows: 2, kinds: { all: 2 }, answers: { A: 1, B: 1 }, media: 1 },
      ...{ repeatedRows: [], missingMedia: [] },
    });
    // A second of sound is 25 tokens.
    expect(train!.tokens!.audio).toEqual({ least: 25, mean: 25, most: 25 });
    expect(train!.tokens!.vision.most).toBe(0);
    expect(train!.tokens!.all.most).toBe(train!.tokens!.text.most + 25);
  });

  it("puts all damage into one report", async () => {
    const { code, report } = await check(`data.path=${file("damaged.jsonl")}`);
    expect(code).toBe(1);
    const faults = report.faults.join("\n");
    expect(faults).toMatch(/damaged\.jsonl:2.*gone\.wav/);
    expect(faults).toMatch(/damaged\.jsonl:3.*nan\.wav/);
    expect(faults).toMatch(/damaged\.jsonl:4.*empty\.wav/);
    expect(faults).toMatch(/damaged\.jsonl:5: the prompt has \d+ tokens but 1009 are allowed/);
    expect(report.warnings.join("\n")).toMatch(
      /1 of 7 rows do not fit\. Set train\.max_tokens_per_pass/,
    );
    const [train] = report.sets;
    expect(train!.repeatedRows).toEqual(["damaged.jsonl:6"]);
    expect(train!.repeatedOptions).toEqual(["damaged.jsonl:7"]);
    expect(train!.missingMedia).toEqual([`damaged.jsonl:2: ${file("gone.wav")}`]);
  });

  it("warns of what a run leaves out, which does not end it", async () => {
    const leave = ["data.over_budget=leave_out", "data.unreadable=leave_out"];
    const { code, report } = await check(`data.path=${file("damaged.jsonl")}`, ...leave);
    expect([code, report.faults]).toEqual([0, []]);
    expect(report.warnings.join("\n")).toMatch(/nan\.wav/);
  });

  it.each([
    ["answers.jsonl", /"E".*none of its options/s],
    ["answers.jsonl", /"snow"/],
    ["rows.jsonl", /rows\.jsonl:2: id "one" is that of rows\.jsonl:1 too/],
    ["rows.jsonl", /rows\.jsonl:3: options are "\['rain', 'wind'\]"/],
    ["cut.jsonl", /cut\.jsonl:1 is not one JSON value/],
  ])("names wrong answers and rows of %s", async (name, message) => {
    const { code, report } = await check(`data.path=${file(name)}`, "--dry-run");
    expect(code).toBe(1);
    expect(report.faults.join("\n")).toMatch(message);
  });

  it("tells media that training and a benchmark share, by name and by content", async () => {
    const asked = `eval={name: jsonl, path: ${file("held-out.jsonl")}, as: asked}`;
    const { code, report } = await check(asked);
    expect(code).toBe(0);
    const warnings = report.warnings.join("\n");
    expect(warnings).toContain("1 of 2 questions of asked is a row of the training data");
    expect(warnings).toMatch(
      /1 of 2 media of asked are media of the training data, such as .*good\.wav/,
    );
    expect(warnings).toMatch(
      /copy\.wav of asked has the content of .*good\.wav of the training data/,
    );
    expect(report.sets.map(({ use, rows }) => [use, rows])).toEqual([
      ["train", 2],
      ["asked", 2],
    ]);
  });

  it("looks at rows alone where that is asked for", async () => {
    const { report } = await check("--dry-run", `data.path=${file("damaged.jsonl")}`);
    expect(report.sets[0]!.tokens).toBeNull();
    expect(report.faults).toEqual([`damaged.jsonl:2: ${file("gone.wav")} is not there.`]);
  });

  it("prints a page for people, and refuses other words", async () => {
    expect(await main(["check", file("c.yaml")], never)).toBe(0);
    expect(out).toMatch(
      /^train: 2 rows, 1 media\n {2}kinds {4}all 2\n {2}answers {2}A 1, B 1\n {2}tokens/,
    );
    expect(out).toContain("nothing here would end a run before its first step");
    await expect(main(["chek"], never)).rejects.toThrow("data has no command chek.");
  });
});
