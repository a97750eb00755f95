import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { COMMANDS, runAubade } from "../../src/cli/aubade.ts";

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

  it("ends with 2 for a word that is no command", async () => {
    expect(await runAubade(["dmup"])).toBe(2);
    expect(err).toContain("unknown command 'dmup'");
    expect(err).toContain("dump");
  });
});
