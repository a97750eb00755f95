import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { evalCommand } from "../../../src/cli/commands/eval.ts";
import { trainCommand } from "../../../src/cli/commands/train.ts";
import { parseRunOptions } from "../../../src/cli/options.ts";
import { ConfigError } from "../../../src/core/errors.ts";

let root: string;
let out: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-cli-"));
  out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

const never = () => Promise.reject(new Error("was called"));

describe("commands", () => {
  it("print the resolved configuration before they look for an adapter", async () => {
    for (const command of [trainCommand, evalCommand]) {
      out = "";
      const argv = ["configs/tiny.yaml", "train.max_steps=5", "--print-config"];
      expect(await command(argv, never)).toBe(0);
      expect(out).toContain("max_steps: 5");
    }
  });

  it("refuse a wrong configuration before any work", async () => {
    const argv = ["configs/tiny.yaml", `output.run_dir=${join(root, "e")}`];
    const wrong = [...argv, "train.num_generations=1"];
    await expect(trainCommand(wrong, never)).rejects.toBeInstanceOf(ConfigError);
    await expect(evalCommand([...argv, "--resume"], never)).rejects.toMatchObject({
      code: "usage",
    });
    expect(await readdir(root)).toEqual([]);
  });
});

describe("options", () => {
  const info = { name: "train", summary: "Trains.", resumable: true, version: "1.2.3" } as const;
  const parse = (...argv: string[]) => parseRunOptions(info, argv, (text) => (out += text));

  it("take overrides and flags in any order", () => {
    expect(parse("c.yaml", "a.b=1", "--json", "d=-1", "--resume")).toEqual({
      config: "c.yaml",
      overrides: ["a.b=1", "d=-1"],
      json: true,
      resume: true,
      out: undefined,
      printConfig: false,
    });
  });

  it("help and version end well; mistakes name themselves", () => {
    expect(parse("--help")).toBeUndefined();
    expect(out).toContain("Usage: node train.js [options] <config> [overrides...]");
    expect(out).toContain("docs/configuration.md");
    expect(parse("--version")).toBeUndefined();
    expect(() => parse()).toThrow("missing required argument 'config'. Run node train.js --help.");
    expect(() => parse("c.yaml", "--jsn")).toThrow(/unknown option '--jsn'.*--json/);
  });
});
