import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "vite";
import { buildAll } from "../../scripts/build.ts";
import { ROOT } from "../../src/cli/package.ts";
import { haveBrowser, openBrowser, serve } from "../helpers/browser.ts";

const run = promisify(execFile);

/** The first script of a stranger, in Node as in a page: an answer and a training step. */
const firstScript = (folder: string, clips: string): string => `
  import { openDevice, loadModel, Processor, generate, train } from "aubade";
  const device = await openDevice();
  const model = await loadModel(device, "${folder}", { seed: 1 });
  const processor = await Processor.load("${folder}");
  const conversation = [{ role: "user", content: " Which colour is shown first ?" }];
  const [answer] = await generate(model, processor, { conversation }, { maxNewTokens: 9 });
  device.close();
  const { steps } = await train({
    model: { path: "${folder}", init: "random" },
    data: { folder: "${clips}", clips: 2 },
    rollout: { max_completion_length: 9 },
    train: { max_steps: 1, prompts_per_step: 2, num_generations: 4 },
    eval: { folder: "${clips}", questions: 2 },
  });
  const result = { ids: answer.ids, steps };
`;

interface FirstResult {
  ids: number[];
  steps: number;
}

const TYPED_SCRIPT = `
  import { openDevice, Processor, defineReward, type Device, type Reward } from "aubade";

  const short: Reward = defineReward("short", ({ ids }) => (ids.length < 100 ? 1 : 0));
  const device: Device = await openDevice({ tier: "t0" });
  const processor: Processor = await Processor.load("folder");
  console.log(short.name, device.capabilities.tier, processor.padId);
  // @ts-expect-error there is no such tier
  await openDevice({ tier: "t9" });
`;

const PAGE = `<!doctype html><script type="module">
  ${firstScript("/tiny", "/clips")}
  globalThis.result = result;
</script>`;

describe("the package as npm packs it", () => {
  let project = "";
  let files: string[] = [];

  beforeAll(async () => {
    await buildAll();
    project = mkdtempSync(join(tmpdir(), "aubade-pack-"));
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", project], {
      cwd: ROOT,
    });
    const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
    files = packed!.files.map(({ path }) => path);
    writeFileSync(join(project, "package.json"), '{ "type": "module", "private": true }');
    const start = performance.now();
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...flags, `./${packed!.filename}`], { cwd: project });
    console.log(`npm install took ${((performance.now() - start) / 1000).toFixed(0)} s`);
  });

  afterAll(() => rmSync(project, { recursive: true, force: true }));

  it("holds the library, the commands, its licences and the tiny model, and no tests", () => {
    for (const path of [
      "LICENSE",
      "NOTICE",
      "dist/node/index.js",
      "dist/node/cli.js",
      "dist/web/index.js",
    ]) {
      expect(files).toContain(path);
    }
    expect(files).toContain("dist/types/index.d.ts");
    expect(files).toContain("aubade.js");
    expect(files).toContain("assets/tiny/tokenizer.json");
    expect(files).toContain("configs/tiny.yaml");
    expect(files).toContain("docs/training.md");
    const strays = files.filter(
      (path) => !/^(dist|assets|configs|docs|scripts)\/|^[^/]+$/.test(path),
    );
    expect(strays).toEqual([]);
  });

  let inNode: FirstResult;

  it("answers and trains in Node in 15 lines", async () => {
    const script = firstScript("node_modules/aubade/assets/tiny", "public/clips");
    expect(script.trim().split("\n").length).toBeLessThanOrEqual(15);
    writeFileSync(join(project, "index.js"), `${script}\nconsole.log(JSON.stringify(result));`);
    const { stdout } = await run(process.execPath, ["index.js"], { cwd: project });
    inNode = JSON.parse(stdout.trim().split("\n").at(-1)!) as FirstResult;
    expect(inNode.ids.length).toBeGreaterThan(0);
    expect(inNode.steps).toBe(1);
  });

  it("has a command that runs", async () => {
    const bin = join(project, "node_modules/.bin/aubade");
    writeFileSync(join(project, "hello.json"), '[{ "role": "user", "content": "Hello" }]');
    const model = ["--model", "node_modules/aubade/assets/tiny"];
    const argv = ["dump", ...model, "--conversation", "hello.json", "--out", "hello.safetensors"];
    const { stdout } = await run(process.execPath, [bin, ...argv], { cwd: project });
    expect(stdout).toMatch(/^logits +\[1, \d+, 384\]/m);
  });

  it("trains by the command of README's first page, and evaluates what it left", async () => {
    const npx = (...words: string[]) =>
      run("npx", ["--no-install", "aubade", ...words], { cwd: project });
    const short = ["max_steps=2", "train.prompts_per_step=2", "eval.questions=4"];
    const { stdout } = await npx("train", "configs/tiny.yaml", ...short);
    expect(stdout).toMatch(/^done after 2 steps/m);
    expect(readdirSync(join(project, "runs/tiny-001"))).toEqual(
      expect.arrayContaining(["README.md", "config.yaml", "curve.svg", "metrics.jsonl", "model"]),
    );
    const evaluated = await npx(
      ...["eval", "runs/tiny-001/config.yaml", "model.path=runs/tiny-001/model", "--json"],
    );
    const [line] = evaluated.stdout.trim().split("\n").slice(-1);
    expect(JSON.parse(line!)).toMatchObject({ benchmarks: { tiny: { questions: 4 } } });
  });

  it.each(["nodenext", "bundler"])("has types for %s", async (resolution) => {
    writeFileSync(join(project, "index.ts"), TYPED_SCRIPT);
    const module = resolution === "bundler" ? "esnext" : resolution;
    const compilerOptions = {
      ...{ target: "es2023", module, moduleResolution: resolution },
      ...{ strict: true, noEmit: true, types: [] },
    };
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["index.ts"] }),
    );
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    await run(process.execPath, [tsc, "-p", project]).catch((error: { stdout: string }) => {
      expect.fail(error.stdout);
    });
  });

  it("does the same in a page made by Vite, with nothing of Node in it", async () => {
    writeFileSync(join(project, "index.html"), PAGE);
    // The clips are those that Node made: a page cannot make any.
    cpSync(join(project, "node_modules/aubade/assets/tiny"), join(project, "public/tiny"), {
      recursive: true,
    });
    await build({ root: project, configFile: false, logLevel: "error" });
    const scripts = readdirSync(join(project, "dist/assets")).filter((name) => name.endsWith("js"));
    const text = scripts.map((name) => readFileSync(join(project, "dist/assets", name), "utf8"));
    expect(text.join("")).toContain("navigator.gpu is missing");
    expect(text.join("")).not.toMatch(/["'`](?:node:|@mediabunny\/server)/);
    if (!haveBrowser()) return;
    const server = await serve({ "": join(project, "dist") });
    const browser = await openBrowser({ webgpu: true });
    try {
      const page = await browser.newPage();
      const failed = new Promise<never>((_, reject) => page.on("pageerror", reject));
      await page.goto(server.url);
      await Promise.race([failed, page.waitForFunction(() => "result" in globalThis)]);
      const result = await page.evaluate(() => (globalThis as any).result as FirstResult);
      expect(result).toEqual(inNode);
    } finally {
      await browser.close();
      server.close();
    }
  });
});
