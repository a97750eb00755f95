import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ROOT } from "../../src/cli/package.ts";
import { driverArchive } from "../../src/cli/driver/distro.ts";
import { readSystem } from "../../src/cli/driver/software-driver.ts";

const { distro, sources } = await readSystem();
const able =
  process.platform === "linux" &&
  spawnSync("apt-get", ["--version"]).status === 0 &&
  driverArchive(distro, sources, "amd64") !== undefined;
if (!able) console.log(`skipped: ${distro.name} has no archive to fetch a driver from`);

/** Says what adapter it got, and which libraries it loaded from outside the driver. */
const SCRIPT = `
  import { readFileSync } from "node:fs";
  const { create, globals } = await import(${JSON.stringify(import.meta.resolve("webgpu"))});
  Object.assign(globalThis, globals);
  globalThis.gpu = create(["enable-dawn-features=allow_unsafe_apis"]);
  const adapter = await globalThis.gpu.requestAdapter();
  const maps = readFileSync("/proc/self/maps", "utf8").match(/\\/\\S+\\.so[.\\d]*$/gm);
  const strays = [...new Set(maps)].filter((path) => !path.startsWith(process.env.AUBADE_DRIVER));
  const features = [...adapter.features];
  console.log(JSON.stringify({ description: adapter.info.description, features, strays }));
  process.exit(9);`;

interface Run {
  code: number;
  out: string;
  err: string;
  seconds: number;
}

describe.skipIf(!able)("the private software driver", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "aubade-driver-"));
    writeFileSync(join(folder, "script.mjs"), SCRIPT);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = async (): Promise<Run> => {
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      AUBADE_DRIVER: undefined,
      XDG_CACHE_HOME: folder,
      // Hides whatever driver this machine has.
      VK_DRIVER_FILES: join(folder, "none.json"),
    };
    const start = performance.now();
    const args = [join(ROOT, "src/cli/driver/with-adapter.js"), join(folder, "script.mjs")];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (text) => (out += String(text)));
    child.stderr.on("data", (text) => (err += String(text)));
    const code = await new Promise<number>((resolve) => child.once("close", resolve));
    return { code, out, err, seconds: (performance.now() - start) / 1000 };
  };

  it("is fetched once by two who start together, and runs on nothing but itself", async () => {
    const runs = await Promise.all([run(), run()]);
    const messages = runs.map(({ err }) => err).join("");
    for (const { code, out, err } of runs) {
      expect(code, err).toBe(9);
      const { description, features, strays } = JSON.parse(out) as Record<string, string[]>;
      expect(description).toContain("llvmpipe");
      expect(features).toContain("shader-f16");
      expect(features).toContain("subgroups");
      expect(features).toContain("chromium-experimental-subgroup-matrix");
      expect(strays).toEqual([]);
    }
    expect(messages.match(/fetching a software driver, once/g)).toHaveLength(1);
    expect(messages).toContain("waiting for another aubade");
    // Mesa makes its shader cache when it first has a whole shader to write, which may be later.
    const left = readdirSync(join(folder, "aubade")).filter((name) => name !== "shaders");
    expect(left.sort()).toEqual(["adapter.json", "driver"]);
    expect(readdirSync(join(folder, "aubade/driver"))).toHaveLength(1);
    console.log(messages);
  }, 300_000);

  it("starts at once when it is there", async () => {
    const { code, err, seconds } = await run();
    expect(code).toBe(9);
    expect(err).not.toContain("fetching");
    expect(seconds).toBeLessThan(5);
    console.log(`started in ${seconds.toFixed(2)} s`);
  });
});
