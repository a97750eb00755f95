import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

const PROBE = new URL("../../../src/cli/driver/probe.ts", import.meta.url).href;

it("a process that tried a missing program and a hanging one ends at once", () => {
  const code = `
    import { runQuietly } from ${JSON.stringify(PROBE)};
    const missing = await runQuietly("aubade-no-such-program", []);
    const hanging = await runQuietly(process.execPath, ["-e", "setInterval(Date, 9)"], process.env, 50);
    console.log(missing.code, missing.stderr, hanging.code);`;
  const args = ["--import", "tsx", "--input-type=module", "-e", code];
  const { stdout, error } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(error).toBeUndefined();
  expect(stdout).toBe("127 spawn aubade-no-such-program ENOENT null\n");
});
