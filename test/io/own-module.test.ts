import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../src/cli/package.ts";

const address = (file: string): string => JSON.stringify(pathToFileURL(join(ROOT, file)).href);

describe("a module of a user's own beside a configuration", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "aubade #1 own 100% module-"));
    writeFileSync(
      join(folder, "load.mjs"),
      `import { readTypeScript } from ${address("src/core/read-typescript.js")};
       await readTypeScript();
       const { loadModule } = await import(${address("src/io/load-module.ts")});
       const { DataError } = await import(${address("src/core/errors.ts")});
       const found = await loadModule("reward", process.argv[2]);
       console.log(JSON.stringify([found.name, found.make() instanceof DataError]));`,
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const body = (types: string) => `import { DataError, defineReward } from "aubade";
    const score = (completion${types}) => completion.text.length;
    export const reward = { ...defineReward("mine", score), make: () => new DataError("x", "y.") };`;

  // Without a package.json above, and in a package of CommonJS modules.
  it.each([
    ["r.ts", undefined],
    ["r.mts", "{}"],
    ["r.js", undefined],
    ["r.js", '{ "type": "commonjs" }'],
    ["r.mjs", "{}"],
  ])("loads as %s in a package of %s, with the program's own classes", (file, packageJson) => {
    if (packageJson !== undefined) writeFileSync(join(folder, "package.json"), packageJson);
    writeFileSync(join(folder, file), body(file.endsWith("ts") ? ": { text: string }" : ""));
    const args = [join(folder, "load.mjs"), `./${file}`];
    const out = execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
    expect(JSON.parse(out)).toEqual(["mine", true]);
    rmSync(join(folder, "package.json"), { force: true });
  });
});
