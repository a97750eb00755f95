import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { main } from "../../../src/cli/commands/verify.ts";
import { parseReport } from "../../../src/inspect/verify-report.ts";

const pathOf = (name: string) => fileURLToPath(new URL(`../../golden/${name}`, import.meta.url));

let folder: string;
let printed: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-verify-"));
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

describe("aubade verify", () => {
  it.each(["omni", "vl", "qwen2-audio"])("%s equals scripts/verify.py", async (family) => {
    const file = pathOf(`dump/verify-${family}.json`);
    const argv = [pathOf(`${family}/tiny-a`), "--tier", inject("tier"), "--against", file];
    const code = await main(argv);
    expect(printed).not.toContain("differs");
    expect(code).toBe(0);
    const distances = [...printed.matchAll(/^ok +\S+ \S+ (\d.*)$/gm)].map((match) => match[1]);
    const tensors = Object.values(parseReport(readFileSync(file, "utf8"), file).prompts).flatMap(
      ({ tensors: each }) => Object.keys(each),
    );
    expect(distances).toHaveLength(tensors.length);
    // Far below the limit, which is that of real widths and depths.
    for (const distance of distances) expect(Number(distance)).toBeLessThan(1e-5);
  });

  it("writes a report that it equals, and says where another differs", async () => {
    const model = [pathOf("qwen2-audio/tiny-a"), "--tier", inject("tier")];
    const file = join(folder, "report.json");
    expect(await main([...model, "--out", file])).toBe(0);
    const lines = printed.trim().split("\n");
    const number = String.raw`-?\d\.\d{6}e[+-]\d\d`;
    const line = new RegExp(String.raw`^(text|audio) \S+ \[[\d, ]+\]( ${number}){6}$`);
    expect(lines.filter((text) => line.test(text))).toHaveLength(11);
    expect(lines.filter((text) => /^(text|audio) (top|ids) /.test(text))).toHaveLength(4);
    const report = parseReport(readFileSync(file, "utf8"), file);
    const hidden = report.prompts["audio"]!.tensors["hidden_states.2"]!;
    hidden.strided = hidden.strided.map((value) => value * 1.001);
    report.prompts["text"]!.ids[3]!++;
    await writeFile(file, JSON.stringify(report));
    printed = "";
    expect(await main([...model, "--against", file])).toBe(1);
    expect(printed).toContain("differs audio hidden_states.2 9.99e-4");
    expect(printed).toContain("differs text ids differ from token 3 on");
    expect(printed).toContain("2 of 13 lines differ");
    await writeFile(file, "{}");
    await expect(main([...model, "--against", file])).rejects.toThrow("no report of aubade verify");
  });
});
