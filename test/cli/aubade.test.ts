import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { COMMANDS, runAubade } from "../../src/cli/aubade.ts";
import { ROOT } from "../../src/cli/package.ts";

let out: string;
let err: string;
beforeEach(() => {
  [out, err] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

describe("aubade", () => {
  it.each([[], ["--help"]])("lists its commands: %s", async (...argv) => {
    expect(await runAubade(argv)).toBe(0);
    for (const name of Object.keys(COMMANDS)) expect(out).toMatch(new RegExp(`^ +${name}\\b`, "m"));
  });

  it.each(Object.keys(COMMANDS))("%s explains itself, without an adapter", async (name) => {
    expect(await runAubade([name, "--help"])).toBe(0);
    expect(out).toMatch(/^Usage: /);
    expect(err).toBe("");
  });

  it.each([
    ["help", "export"],
    ["export", "--help"],
  ])("explains a command: %s %s", async (...argv) => {
    expect(await runAubade(argv)).toBe(0);
    expect(out).toContain("--merge");
  });

  it.each(["-v", "--version"])("prints its version: %s", async (flag) => {
    expect(await runAubade([flag])).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    ["train", "configs/tiny.yaml", "--print-config"],
    ["eval", "configs/tiny.yaml", "--print-config"],
    ["train", "configs/tiny.yaml", "train.max_step=1"],
    ["eval", "no-such.yaml"],
    ["dump", "--model", "assets/tiny", "--out", "x"],
    ["verify", "assets/tiny", "--against", "no-such.json"],
  ])("%s %s %s asks for no adapter, and so fetches no driver", async (...argv) => {
    const cache = mkdtempSync(join(tmpdir(), "aubade-no-driver-"));
    vi.stubEnv("XDG_CACHE_HOME", cache);
    try {
      const code = await runAubade(argv);
      expect(code).toBe(argv.includes("--print-config") ? 0 : argv[0] === "verify" ? 1 : 2);
      expect(readdirSync(cache)).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      rmSync(cache, { recursive: true });
    }
  });

  it("finds the configurations that it ships from any folder", () => {
    const command = [join(ROOT, "aubade.js"), "train", "configs/tiny.yaml", "--print-config"];
    const text = execFileSync(process.execPath, command, { cwd: tmpdir(), encoding: "utf8" });
    expect(text).toContain(`path: ${join(ROOT, "assets/tiny")}`);
  });

  it("ends with 2 for a word that is no command", async () => {
    expect(await runAubade(["dmup"])).toBe(2);
    expect(err).toContain("unknown command 'dmup'");
    expect(err).toContain("dump");
  });
});
