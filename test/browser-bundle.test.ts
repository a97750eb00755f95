import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundle } from "../scripts/build.ts";
import { filesUnder, textOf } from "./helpers/source-tree.ts";

describe.each(["node", "web"] as const)("src/index.ts bundled for %s", (platform) => {
  let folder = "";
  let text = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "aubade-bundle-"));
    await bundle(platform, folder);
    const files = readdirSync(folder);
    // A page's bundler moves modules: the library is one. Node has the command line beside it, and
    // the programs that it starts.
    if (platform === "web") expect(files).toEqual(["index.js"]);
    else
      expect(files).toEqual(
        expect.arrayContaining(["index.js", "cli.js", "probe.js", "thread.js"]),
      );
    text = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Modules that the bundle leaves to be imported. */
  const imports = () =>
    ts
      .preProcessFile(text, true, true)
      .importedFiles.map(({ fileName }) => fileName)
      .filter((name) => !name.startsWith("./"));

  it("imports packages that the browser, or Node, can have", () => {
    const { dependencies, optionalDependencies } = JSON.parse(textOf("package.json")) as Record<
      string,
      Record<string, string>
    >;
    const known = Object.keys({ ...dependencies, ...optionalDependencies });
    const nodeOnly = ["webgpu", "@mediabunny/server"];
    const found = imports();
    expect(found).toContain("mediabunny");
    for (const id of found) {
      if (platform === "node" && id.startsWith("node:")) continue;
      expect(known, `the bundle imports ${id}`).toContain(id);
      if (platform === "web") expect(nodeOnly, `the bundle imports ${id}`).not.toContain(id);
    }
    if (platform === "node") expect(found).toEqual(expect.arrayContaining(nodeOnly));
  });

  it("mentions nothing of Node where there is no Node", () => {
    if (platform === "node") return;
    expect(text).not.toMatch(/["'`](?:node:|@mediabunny\/server)|\bprocess\.|\bcreateRequire\b/);
  });

  it("has the shaders inside, letter by letter", async () => {
    const shaders = new Set(filesUnder("shaders", ".wgsl").map(textOf));
    const urls = [...text.matchAll(/new URL\(["'`](data:text\/wgsl,[^"'`]+)["'`]\)/g)];
    expect(urls.length).toBeGreaterThan(0);
    // Comments, which name shaders between backticks, stay in the bundle.
    expect(text).not.toMatch(/["'][./\w-]+\.wgsl["']/);
    for (const [, url] of urls) expect(shaders).toContain(await (await fetch(url!)).text());
  });
});
