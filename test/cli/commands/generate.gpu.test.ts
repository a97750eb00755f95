import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { main } from "../../../src/cli/commands/generate.ts";
import { Events } from "../../../src/core/events.ts";
import { clipFileName } from "../../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../../src/datasets/tiny/node.ts";
import { adapterReport } from "../../../src/gpu/adapter-report.ts";
import { TIERS } from "../../../src/gpu/capabilities.ts";

describe("aubade generate", () => {
  const folder = mkdtempSync(join(tmpdir(), "aubade-generate-"));
  let clip = "";
  let out = "";
  beforeAll(async () => {
    const events = new Events();
    const clips = await prepareClips({ folder, seed: 2, indices: [0], events });
    clip = join(clips, clipFileName(0));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => {
    out = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    return () => vi.restoreAllMocks();
  });

  const ask = (...words: string[]) =>
    main(["assets/tiny", "--tier", inject("tier"), "--max-new-tokens", "9", ...words]);
  const question = " which colour is first ? A red B blue C green D white";

  it("prints the answer as it comes, the same text as at once", async () => {
    expect(await ask("--video", clip, question)).toBe(0);
    const streamed = out;
    out = "";
    expect(await ask("--video", clip, question, "--json")).toBe(0);
    const { answers, model } = JSON.parse(out) as {
      model: string;
      answers: { text: string; tokens: number; finished: boolean }[];
    };
    expect(model).toBe("assets/tiny");
    expect(answers).toHaveLength(1);
    const { text, tokens, finished } = answers[0]!;
    expect(streamed).toBe(`${text}${finished ? "" : " ..."}\n`);
    expect(tokens).toBeGreaterThan(0);
  });

  it("samples several answers, by a seed, of a conversation file", async () => {
    const file = join(folder, "talk.json");
    writeFileSync(
      file,
      JSON.stringify([
        {
          role: "user",
          content: [
            { type: "video", video: clip },
            { type: "text", text: question },
          ],
        },
      ]),
    );
    const words = ["--conversation", file, "--n", "3", "--temperature", "1.5", "--seed", "4"];
    expect(await ask(...words)).toBe(0);
    const first = out;
    expect(
      first
        .trimEnd()
        .split("\n")
        .map((line) => line.slice(0, 3)),
    ).toEqual(expect.arrayContaining(["1: ", "2: ", "3: "]));
    out = "";
    expect(await ask(...words)).toBe(0);
    expect(out).toBe(first);
  });

  it("refuses what asks nothing or counts wrongly, before an adapter is looked for", async () => {
    const never = () => Promise.reject(new Error("an adapter was asked for"));
    await expect(main(["assets/tiny", "--video", clip], never)).rejects.toThrow(
      "generate is asked nothing.",
    );
    await expect(main(["assets/tiny", "what", "--n", "0"], never)).rejects.toThrow(
      '"0" is no count.',
    );
  });

  it("runs on the adapter that the report describes", async () => {
    const report = await adapterReport();
    expect(TIERS.indexOf(report!.tier)).toBeGreaterThanOrEqual(TIERS.indexOf(inject("tier")));
    expect(report!.features).toEqual([...report!.features].sort());
    expect(report!.limits["maxStorageBufferBindingSize"]).toBeGreaterThanOrEqual(2 ** 27);
    expect(() => JSON.stringify(report)).not.toThrow();
  });
});
