import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ROOT } from "../../../src/cli/package.ts";

function doctor(words: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout } = spawnSync(process.execPath, ["aubade.js", "doctor", ...words], {
    ...{ cwd: ROOT, encoding: "utf8" as const },
    env: { ...process.env, ...env },
  });
  return { status, stdout };
}

describe("aubade doctor", () => {
  it("reports the machine without showing the token or fetching anything", () => {
    const secret = "hf_thisIsASecretThatNobodyMaySee";
    const cache = "/nowhere/hub";
    const env = { HF_TOKEN: secret, HF_HUB_CACHE: cache };
    const { status, stdout } = doctor(["--json"], env);
    expect(stdout).not.toContain(secret);
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      node: process.version,
      hub: { cache, token: true, offline: false },
      decoders: { sharp: true },
    });
    const works = report["adapter"] !== null || report["softwareDriver"] === null;
    if (works) expect(status).toBe(0);
    for (const bytes of Object.values(report["disk"] as object)) expect(bytes).toBeGreaterThan(0);
  });

  it("prints a table and sentences", () => {
    const { stdout } = doctor([], { HF_HUB_OFFLINE: "1" });
    expect(stdout).toMatch(/^aubade +\S+, Node v/);
    expect(stdout).toMatch(/^hub +.*, offline$/m);
    expect(stdout).toContain("- Offline mode is on (HF_HUB_OFFLINE)");
  });
});
