import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ROOT } from "../../src/cli/package.ts";

let folder = "";

// A copy of the launcher with commands of our own, which need no adapter: they ask for help.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "aubade-launch-"));
  for (const part of ["cli", "core", "gpu", "io", "run"]) {
    cpSync(join(ROOT, "src", part), join(folder, "src", part), { recursive: true });
  }
  for (const file of ["package.json", "train.js"])
    copyFileSync(join(ROOT, file), join(folder, file));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A command whose `main` has a body. */
const commandText = (
  body: string,
): string => `import { ConfigError, DataError } from "../../core/errors.ts";
    void [ConfigError, DataError];
    export async function main(argv: string[]): Promise<number> { ${body} }`;

function train(body: string): { status: number | null; stdout: string; stderr: string } {
  writeFileSync(join(folder, "src/cli/commands/train.ts"), commandText(body));
  const args = [join(folder, "train.js"), "--help", "a.b=c"];
  const env = { ...process.env, AUBADE_DEBUG: undefined };
  return spawnSync(process.execPath, args, { encoding: "utf8", env });
}

describe("train.js", () => {
  it("hands over the arguments and ends with the command's code", () => {
    const { status, stdout } = train("console.log(argv.join(' ')); return 5;");
    expect([status, stdout]).toEqual([5, "--help a.b=c\n"]);
  });

  it("prints an error of aubade as a sentence, and ends with 1", () => {
    const { status, stderr } = train("throw new DataError('x', 'clip.mp4 is empty.');");
    expect([status, stderr]).toEqual([1, "clip.mp4 is empty.\n"]);
  });

  it("ends with 2 for a wrong configuration", () => {
    const body = "throw new ConfigError('x', 'lr is -1.', { hint: 'Set it to 1e-5.' });";
    const { status, stderr } = train(body);
    expect([status, stderr]).toEqual([2, "lr is -1. Set it to 1e-5.\n"]);
  });

  it("is not hindered by an output that nobody reads any more", () => {
    const body = "for (let i = 0; i < 1e4; i++) process.stdout.write('x'.repeat(99)); return 3;";
    writeFileSync(join(folder, "src/cli/commands/train.ts"), commandText(body));
    const line = `"${process.execPath}" train.js x | true; exit "\${PIPESTATUS[0]}"`;
    const { status, stderr } = spawnSync("bash", ["-c", line], { cwd: folder, encoding: "utf8" });
    expect([status, stderr]).toEqual([3, ""]);
  });

  it("prints a defect with its stack", () => {
    const { status, stderr } = train("throw new TypeError('oops');");
    expect(status).toBe(1);
    expect(stderr).toMatch(/TypeError: oops\n\s+at (Module\.)?main/);
  });
});
