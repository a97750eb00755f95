import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { describe, expect, it } from "vitest";

const CHILD = new URL("../../src/cli/child.ts", import.meta.url).href;

/** A process that runs `program` (JavaScript) in its place through `runInPlace`. */
function parent(program: string): { process: ChildProcess; said: (text: string) => Promise<void> } {
  const inner = `import { endWithParent } from ${JSON.stringify(CHILD)}; endWithParent(); ${program}`;
  const flags = ["--import", "tsx", "--input-type=module", "-e"];
  const outer = `
    import { runInPlace } from ${JSON.stringify(CHILD)};
    const args = ${JSON.stringify([...flags, inner])};
    process.exitCode = await runInPlace(process.execPath, args, process.env);`;
  const child = spawn(process.execPath, [...flags, outer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  const heard = new Set<() => void>();
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    for (const check of heard) check();
  });
  const said = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => void (output.includes(text) && resolve());
      heard.add(check);
      check();
    });
  return { process: child, said };
}

/** How a process ends: its exit code, or the signal that it died of. */
function end(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal!)));
}

const WAIT = "setInterval(() => {}, 1000); console.log('ready', process.pid);";

describe("runInPlace", () => {
  it.each([0, 3, 255])("ends with the child's exit code %i", async (code) => {
    expect(await end(parent(`process.exit(${code})`).process)).toBe(code);
  });

  it("passes SIGINT on once and ends as the child decides", async () => {
    const count =
      "let n = 0; process.on('SIGINT', () => { n += 1; setTimeout(() => process.exit(40 + n), 150); });";
    const { process: outer, said } = parent(count + WAIT);
    await said("ready");
    const ended = end(outer);
    outer.kill("SIGINT");
    expect(await ended).toBe(41);
  });

  it("dies of the signal that the child died of", async () => {
    const { process: outer, said } = parent(WAIT);
    await said("ready");
    const ended = end(outer);
    outer.kill("SIGTERM");
    expect(await ended).toBe("SIGTERM");
    expect(await end(parent("process.kill(process.pid, 'SIGKILL')").process)).toBe("SIGKILL");
  });

  it("takes the child along when it is killed hard", async () => {
    const { process: outer, said } = parent(WAIT);
    await said("ready");
    // The child holds the other end of this pipe, so the pipe closes when the child is gone.
    const closed = new Promise((resolve) => outer.stdout!.once("close", resolve));
    outer.kill("SIGKILL");
    await closed;
  });
});
