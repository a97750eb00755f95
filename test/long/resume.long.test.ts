import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runFiles } from "../helpers/run-files.ts";
import { TinyWorkplace, writeConfig } from "../helpers/tiny-run.ts";

const script = fileURLToPath(new URL("killed-run.ts", import.meta.url));
const STEPS = 6;
let kills = 0;

describe("law 9: a run that was killed and resumed equals one that was not", () => {
  const place = new TinyWorkplace();
  let want: Map<string, unknown>;
  beforeAll(async () => {
    await place.make();
    await writeConfig(place.path("run.yaml"), place.config({ train: { logging_steps: 4 } }));
    expect(await run("whole", "never")).toBe(0);
    want = await runFiles(place.path("whole"), STEPS);
  });
  afterAll(() => place.remove());

  /** The exit code, or the signal that ended the process. */
  function run(name: string, moment: string, ...more: string[]): Promise<number | string> {
    const config = [place.path("run.yaml"), `output.run_dir=${place.path(name)}`];
    const args = ["--import", "tsx", script, moment, ...config, ...more];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? signal ?? "none"));
    });
  }

  it.each([
    ["in a step, two after a checkpoint", "step 4", "checkpoint-00002"],
    ["while a checkpoint's files are written", "rename 00004.tmp.optimizer", "checkpoint-00002"],
    ["before a whole checkpoint has its name", "rename checkpoint-00004$", "checkpoint-00002"],
    ["just after it has its name", "renamed checkpoint-00004$", "checkpoint-00004"],
    ["while the final model is written", "rename model/model.safetensors", "checkpoint-00006"],
  ])("%s", async (_name, moment, last) => {
    const name = `killed-${kills++}`;
    expect(await run(name, moment)).toBe("SIGKILL");
    const checkpoints = (await readdir(place.path(name))).filter((entry) =>
      /^checkpoint-\d+$/.test(entry),
    );
    expect(checkpoints.at(-1)).toBe(last);
    expect(await run(name, "never", "--resume")).toBe(0);
    const got = await runFiles(place.path(name), STEPS);
    for (const [file, content] of want) expect(got.get(file), file).toEqual(content);
    const left = (await readdir(place.path(name))).filter((entry) => entry.endsWith(".tmp"));
    expect(left).toEqual([]);
  });
});
