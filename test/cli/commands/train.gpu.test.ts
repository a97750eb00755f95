import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { evalCommand } from "../../../src/cli/commands/eval.ts";
import { type RunSummary, trainCommand } from "../../../src/cli/commands/train.ts";
import type { RunConfig } from "../../../src/config/schema.ts";
import { train } from "../../../src/run/train.ts";
import { runFiles } from "../../helpers/run-files.ts";
import { TinyWorkplace, writeConfig } from "../../helpers/tiny-run.ts";

describe("the train and eval commands", () => {
  const place = new TinyWorkplace();
  const runs = mkdtempSync(join(tmpdir(), "aubade-command-"));
  let config: RunConfig;
  let out = "";
  let err = "";
  beforeAll(async () => {
    await place.make();
    config = place.config({
      train: { max_steps: 3 },
      device: { tier: inject("tier").toUpperCase() },
      output: { report_to: ["trackio"] },
    });
    await writeConfig(place.path("my.yaml"), config);
  });
  afterAll(async () => {
    rmSync(runs, { recursive: true, force: true });
    await place.remove();
  });
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
    return () => vi.restoreAllMocks();
  });

  const argv = (name: string, ...more: string[]) => [
    ...[place.path("my.yaml"), `output.run_dir=${join(runs, name)}`],
    ...more,
  ];

  it("leave a folder that is the library's, and print one object with --json", async () => {
    expect(await trainCommand(argv("shell", "train.lora={r: 2}", "--json"))).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(1);
    const { before, after, ...summary } = JSON.parse(out) as RunSummary;
    expect(summary).toMatchObject({ seed: 42, steps: 3, runDir: join(runs, "shell") });
    expect(Object.keys(before!)).toEqual(Object.keys(after!));
    expect(err).toMatch(/^shell: GRPO, 3 steps x 2 prompts x 2 completions; .*, seed 42\n/);
    expect(err).toContain("trackio.import_tf_events(");
    const lora = { ...config.train, lora: { r: 2 } };
    const output = { ...config.output, run_dir: join(runs, "program") };
    await train({ ...config, train: lora, output }, { runFolder: join(runs, "program") });
    const [shell, program] = [
      await runFiles(join(runs, "shell")),
      await runFiles(join(runs, "program")),
    ];
    expect([...program.keys()]).toEqual([...shell.keys()]);
    for (const [file, content] of shell) {
      // These two name the command, which the program has not.
      if (!/^(run\.json|README\.md)$/.test(file)) expect(program.get(file), file).toEqual(content);
    }
    const facts = JSON.parse(readFileSync(join(runs, "shell", "run.json"), "utf8")) as object;
    expect(facts).toMatchObject({
      command: expect.stringMatching(/^node train\.js .* 'train\.lora=\{r: 2\}' --json$/) as string,
    });
    expect(program.get("README.md")).toContain("By a program that called `train`");
  });

  it("stop by Ctrl-C with a checkpoint and exit 0, and go on with --resume", async () => {
    const listeners = process.listenerCount("SIGINT");
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      if (/step +1\/3|1\/3/.test(String(text))) process.emit("SIGINT");
      return true;
    });
    expect(await trainCommand(argv("stopped"))).toBe(0);
    expect(out).toContain("stopping after this step, with a checkpoint");
    expect(out).toMatch(/stopped after [12] steps/);
    expect(process.listenerCount("SIGINT")).toBe(listeners);
    out = "";
    expect(await trainCommand(argv("stopped", "--resume"))).toBe(0);
    expect(out).toMatch(/3 steps x 2 prompts x 2 completions, from step [12]/);
    expect(out).toContain("done after 3 steps");
  });

  it("evaluate, print one object with --json, and have no result after Ctrl-C", async () => {
    const file = place.path("my.yaml");
    expect(await evalCommand([file, "--json"])).toBe(0);
    const found = JSON.parse(out) as { model: string; benchmarks: Record<string, object> };
    expect(found.model).toBe(place.model);
    expect(found.benchmarks["tiny"]).toMatchObject({ questions: 4, failed: 0 });
    expect(err).toMatch(/after +overall [\d.]+ .* \(4 questions of tiny\)/);
    expect(err).toMatch(/^tiny +questions +4$/m);
    out = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      if (String(text).startsWith("model:")) process.emit("SIGINT");
      return true;
    });
    expect(await evalCommand([file, "--json"])).toBe(130);
    expect(out).toBe("");
  });

  it("write every answer to the file that --out names, never over another one", async () => {
    const file = join(runs, "answers.jsonl");
    const words = [place.path("my.yaml"), "--out", file];
    expect(await evalCommand(words)).toBe(0);
    const answers = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(answers).toHaveLength(4);
    expect(JSON.parse(answers[0]!)).toMatchObject({ benchmark: "tiny", when: "after" });
    await expect(evalCommand(words)).rejects.toMatchObject({ code: "out-exists" });
  });
});
