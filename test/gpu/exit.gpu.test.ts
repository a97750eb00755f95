import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a program that has a device; it must end by itself and say nothing on stderr but warnings. */
async function program(body: string): Promise<{ stdout: string; stderr: string }> {
  const code = `
    import { openDevice } from "./src/gpu/device.ts";
    const device = await openDevice({ tier: ${JSON.stringify(inject("tier"))} });
    const buffer = device.createBuffer("b", 64);
    ${body}`;
  const result = await run(
    process.execPath,
    ["--expose-gc", "--import", "tsx", "--input-type=module", "-e", code],
    { cwd: root, timeout: 60_000 },
  );
  const stderr = result.stderr.split("\n").filter((line) => line && !line.startsWith("Warning:"));
  return { stdout: result.stdout, stderr: stderr.join("\n") };
}

describe("a process with a device", () => {
  it("ends by itself after close", async () => {
    const body = `console.log((await device.read(buffer)).byteLength); device.close();`;
    expect(await program(body)).toEqual({ stdout: "64\n", stderr: "" });
  });

  it("ends by itself without close", async () => {
    const body = `console.log((await device.read(buffer)).byteLength);`;
    expect(await program(body)).toEqual({ stdout: "64\n", stderr: "" });
  });

  it("survives garbage collection of everything it does not hold", async () => {
    const body = `
      for (let i = 0; i < 5; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        await device.read(buffer);
      }
      device.close();
      gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log("alive");`;
    expect(await program(body)).toEqual({ stdout: "alive\n", stderr: "" });
  });
});
