import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig, resolvedYaml } from "../../src/config/load.ts";
import { besideFile } from "../../src/config/paths.ts";
import type { RunConfig } from "../../src/config/schema.ts";

const readText = (path: string): Promise<string> => readFile(path, "utf8");

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "aubade-paths-"));
  for (const folder of ["base", "mine/org/name"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  const write = (file: string, text: string) => writeFileSync(join(root, file), text);
  write("base/base.yaml", "model: { path: weights }\ndata: { name: jsonl, path: ../rows.jsonl }\n");
  write(
    "mine/run.yaml",
    `extends: ../base/base.yaml
rewards: [{ module: ./own.ts }, { module: a-package }, { name: format }]
eval: [{ name: jsonl, path: a.jsonl, as: a }, { name: jsonl, path: /abs/b.jsonl, as: b }]
output: { run_dir: runs/x }
`,
  );
  write("mine/hub.yaml", "model: { path: Qwen/Qwen2.5-Omni-3B }\n");
  write("mine/local.yaml", "model: { path: org/name }\n");
  write("mine/url.yaml", "model: { path: https://example.org/m }\n");
});
afterAll(() => rmSync(root, { recursive: true }));

const load = (file: string, ...overrides: string[]): Promise<RunConfig> =>
  loadConfig(join(root, file), { readText, overrides });

describe("a relative path", () => {
  it("is relative to the file that names it, also of one that is extended", async () => {
    const { model, data, rewards, eval: asked, output } = await load("mine/run.yaml");
    expect(model.path).toBe(join(root, "base/weights"));
    expect(data).toMatchObject({ path: join(root, "rows.jsonl") });
    expect(rewards.map(({ module }) => module)).toEqual([
      ...[join(root, "mine/own.ts"), "a-package", undefined],
    ]);
    expect(asked).toMatchObject([{ path: join(root, "mine/a.jsonl") }, { path: "/abs/b.jsonl" }]);
    expect(output.run_dir).toBe(join(root, "mine/runs/x"));
  });

  it("of the command line is relative to the current folder", async () => {
    const { model, output } = await load("mine/run.yaml", "model.path=m", "output.run_dir=r");
    expect([model.path, output.run_dir]).toEqual([resolve("m"), resolve("r")]);
  });

  it("is a name on the Hub only where there is no such folder", async () => {
    expect((await load("mine/hub.yaml")).model.path).toBe("Qwen/Qwen2.5-Omni-3B");
    expect((await load("mine/local.yaml")).model.path).toBe(join(root, "mine/org/name"));
    expect((await load("mine/url.yaml")).model.path).toBe("https://example.org/m");
  });

  it("names the same file when the record of a run is loaded from another folder", async () => {
    const config = await load("mine/run.yaml");
    mkdirSync(join(root, "elsewhere"), { recursive: true });
    writeFileSync(join(root, "elsewhere/config.yaml"), resolvedYaml(config));
    expect(await load("elsewhere/config.yaml")).toEqual(config);
  });

  it.each([
    ["configs/a.yaml", "../assets", "assets"],
    ["a.yaml", "b/./c", "b/c"],
    ["a.yaml", "../b", "../b"],
    ["/x/a.yaml", "../../b", "/b"],
    ["x/a.yaml", "/b", "/b"],
  ])("beside %s: %s is %s", (file, path, expected) => {
    expect(resolve(besideFile(file, path))).toBe(resolve(expected));
  });
});
