import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { evalCommand, type EvalEngine } from "../../../src/cli/commands/eval.ts";
import { parseRunOptions } from "../../../src/cli/options.ts";
import type { RunSummary } from "../../../src/cli/run-report.ts";
import { trainCommand, type TrainEngine } from "../../../src/cli/commands/train.ts";
import { ConfigError } from "../../../src/core/errors.ts";
import { report, reportSpan } from "../../../src/core/run-events.ts";
import { saveCheckpoint } from "../../../src/run/checkpoint-folder.ts";
import { STATE_VERSION, stateText, type TrainerState } from "../../../src/run/state.ts";

const TINY = resolve("assets/tiny");

let root: string;
let out: string;
let err: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-cli-"));
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
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

/** Stands in for training: the reward of a step is a function of the step only. */
function engine(interruptAt = Infinity, breakAt = Infinity): TrainEngine {
  return async (config, { events, stop, resume, ...options }) => {
    // The command always gives both; only the library may train without.
    const [runFolder, logs] = [options.runFolder!, options.logs!];
    const totalSteps = config.train.max_steps!;
    const before = resume ? resume.state.before : { tiny: { overall: 0.5, see: 0.5, format: 1 } };
    let step = resume?.state.step ?? 0;
    report(events, "device", { adapter: "none", tier: "T0" });
    if (!resume) {
      const scores = before!["tiny"]!;
      const none = { failed: 0, rewards: {} };
      report(events, "evaluation", {
        ...{ benchmark: "tiny", prefix: "eval" },
        step,
        when: "before",
        control: null,
        questions: 8,
        scores,
        ...none,
      });
    }
    const save = async (): Promise<void> => {
      const state: TrainerState = {
        version: STATE_VERSION,
        task: config.task,
        step,
        stage: 0,
        draw: step,
        samplesConsumed: step,
        entropyControl: null,
        numTokens: step * 10,
        seconds: step,
        data: "tiny",
        before,
        logs: logs.position(),
      };
      await saveCheckpoint(runFolder, step, { last: config.output.keep_last }, async (folder) => {
        await writeFile(join(folder, "state.json"), stateText(state));
      });
    };
    while (step < totalSteps && !stop.aborted) {
      step++;
      await reportSpan(events, "rewards", step, () => {});
      report(events, "rollout", { step, text: "A" });
      report(events, "step", { step, totalSteps, metrics: { reward: step / 10, correct: 0.5 } });
      logs.check();
      if (step === interruptAt) process.emit("SIGINT");
      if (step === breakAt) throw new Error("the device is gone");
      if (step % config.train.save_steps === 0) await save();
    }
    if (stop.aborted) await save();
    const done = step === totalSteps;
    const after = done ? { tiny: { overall: 0.9, see: 0.9, format: 1 } } : null;
    const common = {
      steps: step,
      seconds: step,
      after,
      controls: {},
      questions: { tiny: 300 },
      exported: null,
      stopped: !done,
    };
    return { ...common, before };
  };
}

function run(folder: string, which: TrainEngine, ...more: string[]): Promise<number> {
  const dir = `output.run_dir=${join(root, folder)}`;
  const fixed = ["train.max_steps=5", "train.save_steps=2", "train.logging_steps=2"];
  return trainCommand(["configs/tiny.yaml", dir, ...fixed, ...more], which);
}

describe("train command", () => {
  it("leaves a whole run folder and prints one object with --json", async () => {
    expect(await run("a", engine(), "--json")).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(1);
    const summary = JSON.parse(out) as RunSummary;
    expect(summary).toEqual({
      seed: 42,
      steps: 5,
      seconds: 5,
      before: { tiny: { overall: 0.5, see: 0.5, format: 1 } },
      after: { tiny: { overall: 0.9, see: 0.9, format: 1 } },
      runDir: join(root, "a"),
    });
    expect(err).toContain(`a: GRPO, 5 steps x 16 prompts x 8 completions; ${TINY}, seed 42`);
    expect(await readdir(join(root, "a"))).toEqual([
      "README.md",
      "answers.jsonl",
      "checkpoint-00002",
      "checkpoint-00004",
      "config.yaml",
      "curve.svg",
      "events.jsonl",
      "health.json",
      "health.md",
      "metrics.jsonl",
      "rollouts.jsonl",
      "run.json",
      "tb",
    ]);
    const card = await readFile(join(root, "a", "README.md"), "utf8");
    expect(card).toContain("| before training | 0.500 | 0.500 | 1.000 |");
    expect(card).toContain("Device: adapter none, tier T0.");
    const facts = JSON.parse(await readFile(join(root, "a", "run.json"), "utf8")) as object;
    expect(facts).toMatchObject({ seed: 42, device: { tier: "T0" } });
  });

  it("writes completions, other programs' names and what trackers import, when asked", async () => {
    const asked = [
      "output.completions=true",
      "output.metric_aliases=true",
      "output.report_to=[wandb, trackio]",
    ];
    expect(await run("w", engine(), ...asked)).toBe(0);
    expect(out).toContain(`--project aubade --id w ${join(root, "w", "tb")}\n`);
    expect(out).toContain("trackio.import_tf_events(");
    const files = await readdir(join(root, "w", "completions"));
    expect(files).toEqual([2, 4, 5].map((step) => `completions_0000${step}.parquet`));
    expect(await readFile(join(root, "w", "metrics.jsonl"), "utf8")).toContain(
      '"grpo/total_reward":0.5',
    );
    expect(await readFile(join(root, "w", "health.md"), "utf8")).toContain("The run is healthy.");
  });

  it("a rule of the run's health that stops ends the run by its name", async () => {
    const stop = "health.repetition.action=stop";
    const loud: TrainEngine = (config, options) => {
      for (let i = 0; i < 3; i++) {
        report(options.events, "rollout", { step: 1, text: "system".repeat(30), sample: "r" });
      }
      return engine()(config, options);
    };
    await expect(run("l", loud, stop)).rejects.toMatchObject({ code: "health-stop" });
    expect(out).toContain("health: repetition at step 1: 3 of 4 completions (75 %) repeat");
    expect(await readFile(join(root, "l", "health.md"), "utf8")).toContain("The run was stopped.");
  });

  it("Ctrl-C saves and exits 0; the resumed run leaves the logs of one never stopped", async () => {
    const listeners = process.listenerCount("SIGINT");
    expect(await run("b", engine(3))).toBe(0);
    expect(out).toContain("stopping after this step, with a checkpoint");
    expect(out).toContain("stopped after 3 steps");
    expect(process.listenerCount("SIGINT")).toBe(listeners);
    expect(await run("b", engine(), "--resume")).toBe(0);
    expect(out).toContain("5 steps x 16 prompts x 8 completions, from step 3");
    expect(await run("c", engine())).toBe(0);
    for (const log of ["metrics.jsonl", "rollouts.jsonl", "events.jsonl"]) {
      expect(await readFile(join(root, "b", log), "utf8")).toBe(
        await readFile(join(root, "c", log), "utf8"),
      );
    }
  });

  it("a crash loses nothing after the last checkpoint but the steps since", async () => {
    await expect(run("d", engine(Infinity, 3))).rejects.toThrow("the device is gone");
    await expect(run("d", engine())).rejects.toMatchObject({ code: "run-folder-used" });
    await expect(run("d", engine(), "--resume", "train.beta=1")).rejects.toMatchObject({
      code: "resume-changed",
    });
    expect(await run("d", engine(), "--resume")).toBe(0);
    const rows = (await readFile(join(root, "d", "rollouts.jsonl"), "utf8")).trim().split("\n");
    expect(rows.map((row) => (JSON.parse(row) as { step: number }).step)).toEqual([1, 2, 3, 4, 5]);
  });

  it("a longer run under a falling learning rate says that it is another one", async () => {
    const linear = ["train.lr_scheduler_type=linear"];
    expect(await run("s", engine(3), ...linear)).toBe(0);
    expect(await run("s", engine(), "--resume", ...linear, "train.max_steps=7")).toBe(0);
    expect(out).toContain(
      "warning: train.max_steps was 5 and is now 7: from here on the learning rate",
    );
  });

  it("says on resume that a program is another one than before", async () => {
    expect(await run("v", engine(3))).toBe(0);
    const file = join(root, "v", "run.json");
    const facts = JSON.parse(await readFile(file, "utf8")) as { versions: Record<string, string> };
    expect(await run("v", engine(4), "--resume")).toBe(0);
    expect(out).not.toContain("webgpu was");
    facts.versions["webgpu"] = "0.0.1";
    await writeFile(file, JSON.stringify(facts));
    expect(await run("v", engine(), "--resume")).toBe(0);
    expect(out).toMatch(
      /warning: webgpu was 0\.0\.1 and is now [\d.]+.*: the steps to come may not/,
    );
  });

  it("a crash before the first checkpoint loses the steps, and the run starts again", async () => {
    await expect(run("g", engine(Infinity, 1))).rejects.toThrow("the device is gone");
    expect(await run("g", engine(), "--resume")).toBe(0);
    expect(out).toContain("The run had no checkpoint yet: it starts again from the beginning.");
    expect(await run("h", engine())).toBe(0);
    for (const log of ["metrics.jsonl", "rollouts.jsonl", "events.jsonl", "health.json"]) {
      expect(await readFile(join(root, "g", log), "utf8")).toBe(
        await readFile(join(root, "h", log), "utf8"),
      );
    }
  });

  it("--resume empties no log that has steps: without a checkpoint it is refused", async () => {
    expect(await run("e", engine())).toBe(0);
    const folder = join(root, "e");
    for (const name of await readdir(folder)) {
      if (name.startsWith("checkpoint-")) await rm(join(folder, name), { recursive: true });
    }
    const before = await readFile(join(folder, "metrics.jsonl"), "utf8");
    const refused = run("e", engine(), "--resume", "train.max_steps=9");
    await expect(refused).rejects.toMatchObject({ code: "steps-without-checkpoint" });
    await expect(refused).rejects.toThrow(/although metrics.jsonl has step 5: .* Put a checkpoint/);
    expect(await readFile(join(folder, "metrics.jsonl"), "utf8")).toBe(before);
    await rm(join(folder, "metrics.jsonl"));
    await expect(run("e", engine(), "--resume")).rejects.toThrow("rollouts.jsonl has step 5");
    await rm(join(folder, "rollouts.jsonl"));
    await mkdir(join(folder, "model"));
    await writeFile(join(folder, "model", "model.safetensors"), "x");
    await expect(run("e", engine(), "--resume")).rejects.toThrow("it holds a trained model/");
  });

  it("lost and torn logs are named, and the run goes on and ends", async () => {
    expect(await run("f", engine(3))).toBe(0);
    const folder = join(root, "f");
    for (const name of ["rollouts.jsonl", "tb", "events.jsonl"]) {
      await rm(join(folder, name), { recursive: true });
    }
    const rows = await readFile(join(folder, "metrics.jsonl"), "utf8");
    await writeFile(join(folder, "metrics.jsonl"), `{"torn${rows.slice(6)}`);
    expect(await run("f", engine(), "--resume")).toBe(0);
    expect(out).toMatch(/warning: \S*rollouts.jsonl lacks \d+ bytes that it had/);
    expect(out).toMatch(/warning: \S*tb\/events\S+ lacks/);
    expect(out).toContain("metrics.jsonl has 1 lines that cannot be read; the curve lacks them");
    const left = (await readFile(join(folder, "rollouts.jsonl"), "utf8")).trim().split("\n");
    expect(left.map((row) => (JSON.parse(row) as { step: number }).step)).toEqual([4, 5]);
    await rm(join(folder, "metrics.jsonl"));
    expect(await run("f", engine(), "--resume", "train.max_steps=7")).toBe(0);
    expect(out).toMatch(/warning: \S*metrics.jsonl lacks/);
  });

  it("--resume takes the newest run with a checkpoint, a path the one that it names", async () => {
    const [config, cwd] = [resolve("configs/tiny.yaml"), process.cwd()];
    const fixed = ["train.max_steps=5", "train.save_steps=2", "train.logging_steps=2"];
    const go = (which: TrainEngine, ...more: string[]) =>
      trainCommand([config, ...more, ...fixed], which);
    process.chdir(root);
    try {
      expect(await go(engine(4))).toBe(0);
      const broken: TrainEngine = () => Promise.reject(new Error("no such model"));
      await expect(go(broken)).rejects.toThrow("no such model");
      // A start that came to nothing leaves nothing.
      expect(await readdir("runs")).toEqual(["tiny-001"]);
      await expect(go(engine(Infinity, 1))).rejects.toThrow("the device is gone");
      expect(await go(engine(5), "--resume")).toBe(0);
      expect(out).toContain("warning: runs/tiny-002 was passed over: it came to no step.");
      expect(out).toContain("tiny-001: GRPO, 5 steps x 16 prompts x 8 completions, from step 4");
      out = "";
      expect(await go(engine(5), "--resume", "runs/tiny-001/checkpoint-00004/")).toBe(0);
      expect(out).toContain("from step 4");
      expect(out).toContain("later-checkpoint-00005 is of later steps: set aside.");
      const line = ["runs/tiny-001/config.yaml", "--resume", "train.max_steps=6"];
      expect(await trainCommand(line, engine())).toBe(0);
      expect(out).toContain("tiny-001: GRPO, 6 steps x 16 prompts x 8 completions, from step 5");
      await expect(go(engine(), "--resume", "runs")).rejects.toMatchObject({ code: "no-run" });
    } finally {
      process.chdir(cwd);
    }
  });

  it("a run's own record resumes it, modules of rewards included", async () => {
    const config = join(root, "conf", "own.yaml");
    await mkdir(join(root, "conf"));
    await writeFile(join(root, "conf", "my #1.mjs"), "");
    const text = `extends: ${resolve("configs/tiny.yaml")}
rewards: [{name: module, module: "./my %231.mjs", weight: 1}]
output: {run_dir: ${join(root, "deep", "m")}}
`;
    await writeFile(config, text);
    expect(await trainCommand([config], engine(2))).toBe(0);
    expect(out).toContain(
      `continue with: node train.js ${join(root, "deep", "m")}/config.yaml --resume`,
    );
    const record = join(root, "deep", "m", "config.yaml");
    expect(await readFile(record, "utf8")).toContain("module: ../../conf/my%20%231.mjs");
    expect(await trainCommand([record, "--resume"], engine(3))).toBe(0);
    expect(await trainCommand([config, "--resume"], engine(4))).toBe(0);
    const facts = await readFile(join(root, "deep", "m", "run.json"), "utf8");
    expect((JSON.parse(facts) as { command: string }).command).toMatch(/own.yaml$/);
  });

  it("a folder with other things in it is not taken for a run", async () => {
    await mkdir(join(root, "x"));
    await writeFile(join(root, "x", "thesis.tex"), "");
    const refused = run("x", engine());
    await expect(refused).rejects.toMatchObject({ code: "run-folder-not-empty" });
    await expect(refused).rejects.toThrow("holds other files: thesis.tex. Choose an empty");
    expect(await readdir(join(root, "x"))).toEqual(["thesis.tex"]);
    await expect(run("../../proc/x", engine())).rejects.toMatchObject({
      code: "run-folder-unwritable",
    });
  });

  it("a run whose lock is no longer its own writes no more", async () => {
    const robbed: TrainEngine = async (config, options) => {
      await writeFile(join(root, "r", ".lock"), "another-host 7 x");
      return engine()(config, options);
    };
    await expect(run("r", robbed)).rejects.toMatchObject({ code: "lock-lost" });
    for (const log of ["metrics.jsonl", "rollouts.jsonl"]) {
      expect(await readFile(join(root, "r", log), "utf8").catch(() => "")).toBe("");
    }
  });

  it("output.trace leaves a whole trace, also across a stop and a resume", async () => {
    const traced = async (): Promise<unknown[]> => {
      const text = await readFile(join(root, "t", "trace.json"), "utf8");
      const events = JSON.parse(text) as { name: string; args: { step?: number } }[];
      return events.map(({ name, args }) => (args.step === undefined ? name : [name, args.step]));
    };
    const spans = [1, 2, 3, 4, 5].map((step) => ["rewards", step]);
    expect(await run("t", engine(3), "output.trace=true")).toBe(0);
    expect(await traced()).toEqual(["thread_name", ...spans.slice(0, 3), "end"]);
    expect(await run("t", engine(), "output.trace=true", "--resume")).toBe(0);
    expect(await traced()).toEqual(["thread_name", ...spans, "end"]);
  });

  it("one process at a time runs in a folder; one that is dead hinders nobody", async () => {
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    const slow: TrainEngine = async (...given) => (await held, await engine(3)(...given));
    const first = run("w", slow);
    await vi.waitFor(() => readFile(join(root, "w", "config.yaml")));
    const never: TrainEngine = () => Promise.reject(new Error("was called"));
    await expect(run("w", never, "--resume")).rejects.toMatchObject({ code: "run-folder-busy" });
    go();
    expect(await first).toBe(0);
    expect(await readdir(join(root, "w"))).not.toContain(".lock");
    // No process has the number 0x7fffffff.
    await writeFile(join(root, "w", ".lock"), `${hostname()} 2147483647 x`);
    expect(await run("w", engine(), "--resume")).toBe(0);
    expect(await readdir(join(root, "w"))).not.toContain(".lock");
  });

  it("refuses what cannot work before any work", async () => {
    const never: TrainEngine = () => Promise.reject(new Error("was called"));
    await writeFile(join(root, "file"), "");
    await expect(run("file/run", never)).rejects.toMatchObject({ code: "run-folder-unwritable" });
    await expect(run("e", never, "train.num_generations=1")).rejects.toBeInstanceOf(ConfigError);
    await expect(run("e", never, "--resume")).rejects.toMatchObject({ code: "no-run" });
    expect(await readdir(root)).toEqual(["file"]);
  });

  it("records the command so that a shell takes it again", async () => {
    await run("f", engine(), "train.lora={r: 4}");
    const facts = JSON.parse(await readFile(join(root, "f", "run.json"), "utf8")) as object;
    expect(facts).toMatchObject({
      command: expect.stringMatching(
        /^node train\.js configs\/tiny\.yaml .* 'train\.lora=\{r: 4\}'$/,
      ) as string,
    });
  });

  it("prints the resolved configuration", async () => {
    const never: TrainEngine = () => Promise.reject(new Error("was called"));
    expect(await run("e", never, "--print-config")).toBe(0);
    expect(out).toContain("max_steps: 5");
    expect(await readdir(root)).toEqual([]);
  });
});

describe("eval command", () => {
  const scores = { overall: 0.5, see: 0.5, format: 1 };
  const tiny = { questions: 8, failed: 1, scores, controls: { muted: scores } };
  const found = { benchmarks: { tiny }, seconds: 2 };

  const asks: EvalEngine = async (config, { events }) => {
    expect(config.eval).toMatchObject({ name: "tiny", questions: 300 });
    const place = { benchmark: "tiny", step: 0, when: "after", control: null } as const;
    report(events, "answer", { ...place, sample: "a", text: "B", correct: true });
    const none = { failed: 0, rewards: {} };
    report(events, "evaluation", { ...place, prefix: "eval", questions: 8, scores, ...none });
    return found;
  };

  it("prints one object with --json", async () => {
    expect(await evalCommand(["configs/tiny.yaml", "--json"], asks)).toBe(0);
    expect(JSON.parse(out)).toEqual({ model: TINY, ...found });
    expect(err).toContain("overall 0.500 | see 0.500 | format 1.000 (8 questions of tiny)");
    expect(err).toContain("tiny: 8 questions, 1 failed");
  });

  it("writes every answer to the file that --out names, never over another one", async () => {
    const file = join(root, "answers.jsonl");
    const words = ["configs/tiny.yaml", "--out", file];
    expect(await evalCommand(words, asks)).toBe(0);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ sample: "a", text: "B" });
    await expect(evalCommand(words, asks)).rejects.toMatchObject({ code: "out-exists" });
  });

  it("has no result after Ctrl-C, and no run to resume", async () => {
    const engine = async () => {
      process.emit("SIGINT");
      return found;
    };
    expect(await evalCommand(["configs/tiny.yaml", "--json"], engine)).toBe(130);
    expect(out).toBe("");
    await expect(evalCommand(["configs/tiny.yaml", "--resume"], engine)).rejects.toMatchObject({
      code: "usage",
    });
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
