import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "vite";
import { buildAll } from "../../scripts/build.ts";
import { ROOT } from "../../src/cli/cache.ts";

const run = promisify(execFile);

/** What a stranger's first script does. */
const NODE_SCRIPT = `
  import { dirname, join } from "node:path";
  import { fileURLToPath } from "node:url";
  import { openDevice, Processor } from "aubade";

  const home = dirname(fileURLToPath(import.meta.resolve("aubade/package.json")));
  const processor = await Processor.load(join(home, "assets/tiny"));
  const conversation = [{ role: "user", content: "What is shown?" }];
  const sample = processor.process({ row: "0", conversation, media: [] });
  const device = await openDevice();
  const buffer = device.createBuffer("ids", sample.inputIds.length * 4);
  device.write(buffer, 0, sample.inputIds);
  const back = [...new Uint32Array(await device.read(buffer))];
  const { tier } = device.capabilities;
  device.close();
  console.log(JSON.stringify({ tier, ids: [...sample.inputIds], back }));
`;

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
  import { openDevice, Processor, defineReward } from "aubade";
  Object.assign(globalThis, { openDevice, Processor, defineReward });
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

  it("holds the library, its licences and the tiny model, and no tests", () => {
    for (const path of ["LICENSE", "NOTICE", "dist/node/index.js", "dist/web/index.js"]) {
      expect(files).toContain(path);
    }
    expect(files).toContain("dist/types/index.d.ts");
    expect(files).toContain("assets/tiny/tokenizer.json");
    const strays = files.filter((path) => !/^(dist|assets)\/|^[^/]+$/.test(path));
    expect(strays).toEqual([]);
  });

  it("runs in Node", async () => {
    writeFileSync(join(project, "index.js"), NODE_SCRIPT);
    const { stdout } = await run(process.execPath, ["index.js"], { cwd: project });
    const { tier, ids, back } = JSON.parse(stdout.trim().split("\n").at(-1)!) as {
      tier: string;
      ids: number[];
      back: number[];
    };
    expect(tier).toMatch(/^t[012]$/);
    expect(ids.length).toBeGreaterThan(5);
    expect(back).toEqual(ids);
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

  it("is bundled for a page by Vite with nothing of Node in it", async () => {
    writeFileSync(join(project, "index.html"), PAGE);
    await build({ root: project, configFile: false, logLevel: "error" });
    expect(existsSync(join(project, "dist/index.html"))).toBe(true);
    const scripts = readdirSync(join(project, "dist/assets")).filter((name) => name.endsWith("js"));
    const text = scripts.map((name) => readFileSync(join(project, "dist/assets", name), "utf8"));
    expect(text.join("")).toContain("navigator.gpu is missing");
    expect(text.join("")).not.toMatch(/["'`]node:|@mediabunny\/server/);
  });
});
