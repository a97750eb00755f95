import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chooseRun } from "../../src/cli/commands/train.ts";
import { parseRunOptions } from "../../src/cli/options.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import { loadConfig } from "../../src/config/load.ts";
import { report, reportSpan, type RunEvent } from "../../src/core/run-events.ts";
import { readText } from "../../src/io/node.ts";
import { saveCheckpoint } from "../../src/run/checkpoint-folder.ts";
import type { TrainResult } from "../../src/run/options.ts";
import { type SessionWork, withSession } from "../../src/run/session.ts";
import { STATE_VERSION, stateText, type TrainerState } from "../../src/run/state.ts";
import { rolloutRecord } from "../helpers/rollout-record.ts";

let root: string;
let interrupt: AbortController;
let told: RunEvent[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-session-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Steps whose reward is a function of the step only, in the place of a model's. */
function steps(interruptAt = Infinity, breakAt = Infinity): SessionWork {
  return async ({ config, events, stop, resume, logs, runFolder }) => {
    const totalSteps = config.train.max_steps!;
    const before = resume ? resume.state.before : { tiny: { overall: 0.5, see: 0.5, format: 1 } };
    let step = resume?.state.step ?? 0;
    report(events, "device", { adapter: "none", tier: "T0" });
    if (!resume) {
      const scores = before!["tiny"]!;
      const none = { failed: 0, rewards: {} };
      report(events, "evaluation", {
        step,
        ...{ benchmark: "tiny", prefix: "eval" },
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
        draw: step,
        samplesConsumed: step,
        entropyControl: null,
        numTokens: step * 10,
        seconds: step,
        data: "tiny",
        before,
        logs: logs.position(),
      };
      await saveCheckpoint(runFolder!, step, { last: config.output.keep_last }, async (folder) => {
        await writeFile(join(folder, "state.json"), stateText(state));
      });
    };
    while (step < totalSteps && !stop.aborted) {
      step++;
      await reportSpan(events, "rewards", step, () => {});
      report(events, "rollout", rolloutRecord({ step, text: "A" }));
      report(events, "step", { step, totalSteps, metrics: { reward: step / 10, correct: 0.5 } });
      logs.check();
      if (step === interruptAt) interrupt.abort();
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

const fixed = ["train.max_steps=5", "train.save_steps=2", "train.logging_steps=2"];
const info = { name: "train", summary: "Trains.", resumable: true, version: "1.2.3" } as const;

/** A session in a folder; `--resume` among the settings resumes. */
async function run(folder: string, work: SessionWork, ...more: string[]): Promise<TrainResult> {
  const overrides = [...fixed, ...more.filter((word) => word !== "--resume")];
  const config = await loadConfig("configs/tiny.yaml", { readText, overrides });
  return session(config, join(root, folder), work, more.includes("--resume"));
}

function session(
  config: RunConfig,
  runFolder: string,
  work: SessionWork,
  resume: boolean | string,
): Promise<TrainResult> {
  interrupt = new AbortController();
  told = [];
  const { signal } = interrupt;
  const onEvent = (event: RunEvent) => void told.push(event);
  const command = resume === false ? "the start" : "the resume";
  const options = { runFolder, resume, signal, onEvent, command };
  return withSession(config, options, work);
}

const warnings = () => told.flatMap(({ kind, data }) => (kind === "warning" ? data.message : []));
const goneOnFrom = () => told.flatMap(({ kind, data }) => (kind === "folder" ? data.step : []));

describe("a session", () => {
  it("leaves a whole run folder", async () => {
    await run("a", steps());
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

  it("writes completions and other programs' names, when asked", async () => {
    await run("w", steps(), "output.completions=true", "output.metric_aliases=true");
    const files = await readdir(join(root, "w", "completions"));
    expect(files).toEqual([2, 4, 5].map((step) => `completions_0000${step}.parquet`));
    expect(await readFile(join(root, "w", "metrics.jsonl"), "utf8")).toContain(
      '"grpo/total_reward":0.5',
    );
    expect(await readFile(join(root, "w", "health.md"), "utf8")).toContain("The run is healthy.");
  });

  it("a rule of the run's health that stops ends the run by its name", async () => {
    const stop = "health.repetition.action=stop";
    const loud: SessionWork = (session) => {
      for (let i = 0; i < 3; i++) {
        report(session.events, "rollout", rolloutRecord({ text: "system".repeat(30) }));
      }
      return steps()(session);
    };
    await expect(run("l", loud, stop)).rejects.toMatchObject({ code: "health-stop" });
    const [found] = told.flatMap(({ kind, data }) => (kind === "health" ? data.findings : []));
    expect(found!.message).toContain("3 of 4 completions (75 %) repeat");
    expect(await readFile(join(root, "l", "health.md"), "utf8")).toContain("The run was stopped.");
  });

  it("that is stopped saves; the resumed run leaves the logs of one never stopped", async () => {
    expect(await run("b", steps(3))).toMatchObject({ steps: 3, stopped: true });
    expect(goneOnFrom()).toEqual([0]);
    await run("b", steps(), "--resume");
    expect(goneOnFrom()).toEqual([3]);
    await run("c", steps());
    for (const log of ["metrics.jsonl", "rollouts.jsonl", "events.jsonl"]) {
      expect(await readFile(join(root, "b", log), "utf8")).toBe(
        await readFile(join(root, "c", log), "utf8"),
      );
    }
  });

  it("a crash loses nothing after the last checkpoint but the steps since", async () => {
    await expect(run("d", steps(Infinity, 3))).rejects.toThrow("the device is gone");
    await expect(run("d", steps())).rejects.toMatchObject({ code: "run-folder-used" });
    await expect(run("d", steps(), "--resume", "train.beta=1")).rejects.toMatchObject({
      code: "resume-changed",
    });
    await run("d", steps(), "--resume");
    const rows = (await readFile(join(root, "d", "rollouts.jsonl"), "utf8")).trim().split("\n");
    expect(rows.map((row) => (JSON.parse(row) as { step: number }).step)).toEqual([1, 2, 3, 4, 5]);
  });

  it("a longer run under a falling learning rate says that it is another one", async () => {
    const linear = ["train.lr_scheduler_type=linear"];
    await run("s", steps(3), ...linear);
    await run("s", steps(), "--resume", ...linear, "train.max_steps=7");
    expect(warnings().join()).toContain(
      "train.max_steps was 5 and is now 7: from here on the learning rate",
    );
  });

  it("says on resume that a program is another one than before", async () => {
    await run("v", steps(3));
    const file = join(root, "v", "run.json");
    const facts = JSON.parse(await readFile(file, "utf8")) as { versions: Record<string, string> };
    await run("v", steps(4), "--resume");
    expect(warnings().join()).not.toContain("webgpu was");
    facts.versions["webgpu"] = "0.0.1";
    await writeFile(file, JSON.stringify(facts));
    await run("v", steps(), "--resume");
    expect(warnings().join()).toMatch(
      /webgpu was 0\.0\.1 and is now [\d.]+.*: the steps to come may not/,
    );
  });

  it("a crash before the first checkpoint loses the steps, and the run starts again", async () => {
    await expect(run("g", steps(Infinity, 1))).rejects.toThrow("the device is gone");
    await run("g", steps(), "--resume");
    expect(warnings().join()).toContain(
      "The run had no checkpoint yet: it starts again from the beginning.",
    );
    await run("h", steps());
    for (const log of ["metrics.jsonl", "rollouts.jsonl", "events.jsonl", "health.json"]) {
      expect(await readFile(join(root, "g", log), "utf8")).toBe(
        await readFile(join(root, "h", log), "utf8"),
      );
    }
  });

  it("output.trace leaves a whole trace, also across a stop and a resume", async () => {
    const traced = async (): Promise<unknown[]> => {
      const text = await readFile(join(root, "t", "trace.json"), "utf8");
      const events = JSON.parse(text) as { name: string; args: { step?: number } }[];
      return events.map(({ name, args }) => (args.step === undefined ? name : [name, args.step]));
    };
    const spans = [1, 2, 3, 4, 5].map((step) => ["rewards", step]);
    await run("t", steps(3), "output.trace=true");
    expect(await traced()).toEqual(["thread_name", ...spans.slice(0, 3), "end"]);
    await run("t", steps(), "output.trace=true", "--resume");
    expect(await traced()).toEqual(["thread_name", ...spans, "end"]);
  });

  it("one process at a time runs in a folder; one that is dead hinders nobody", async () => {
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    const slow: SessionWork = async (session) => (await held, await steps()(session));
    const first = run("w", slow);
    await vi.waitFor(() => readFile(join(root, "w", "config.yaml")));
    const never: SessionWork = () => Promise.reject(new Error("was called"));
    await expect(run("w", never, "--resume")).rejects.toMatchObject({ code: "run-folder-busy" });
    go();
    expect(await first).toMatchObject({ steps: 5 });
    expect(await readdir(join(root, "w"))).not.toContain(".lock");
    // No process has the number 0x7fffffff.
    await writeFile(join(root, "w", ".lock"), `${hostname()} 2147483647 x`);
    await run("w", steps(), "--resume");
    expect(await readdir(join(root, "w"))).not.toContain(".lock");
  });

  it("--resume empties no log that has steps: without a checkpoint it is refused", async () => {
    await run("e", steps());
    const folder = join(root, "e");
    for (const name of await readdir(folder)) {
      if (name.startsWith("checkpoint-")) await rm(join(folder, name), { recursive: true });
    }
    const before = await readFile(join(folder, "metrics.jsonl"), "utf8");
    const refused = run("e", steps(), "--resume", "train.max_steps=9");
    await expect(refused).rejects.toMatchObject({ code: "steps-without-checkpoint" });
    await expect(refused).rejects.toThrow(/although metrics.jsonl has step 5: .* Put a checkpoint/);
    expect(await readFile(join(folder, "metrics.jsonl"), "utf8")).toBe(before);
    await rm(join(folder, "metrics.jsonl"));
    await expect(run("e", steps(), "--resume")).rejects.toThrow("rollouts.jsonl has step 5");
    await rm(join(folder, "rollouts.jsonl"));
    await mkdir(join(folder, "model"));
    await writeFile(join(folder, "model", "model.safetensors"), "x");
    await expect(run("e", steps(), "--resume")).rejects.toThrow("it holds a trained model/");
  });

  it("lost and torn logs are named, and the run goes on and ends", async () => {
    await run("f", steps(3));
    const folder = join(root, "f");
    for (const name of ["rollouts.jsonl", "tb", "events.jsonl"]) {
      await rm(join(folder, name), { recursive: true });
    }
    const rows = await readFile(join(folder, "metrics.jsonl"), "utf8");
    await writeFile(join(folder, "metrics.jsonl"), `{"torn${rows.slice(6)}`);
    await run("f", steps(), "--resume");
    expect(warnings().join("\n")).toMatch(/rollouts.jsonl lacks \d+ bytes that it had/);
    expect(warnings().join("\n")).toMatch(/tb\/events\S+ lacks/);
    expect(warnings().join("\n")).toContain(
      "metrics.jsonl has 1 lines that cannot be read; the curve lacks them",
    );
    const left = (await readFile(join(folder, "rollouts.jsonl"), "utf8")).trim().split("\n");
    expect(left.map((row) => (JSON.parse(row) as { step: number }).step)).toEqual([4, 5]);
    await rm(join(folder, "metrics.jsonl"));
    await run("f", steps(), "--resume", "train.max_steps=7");
    expect(warnings().join("\n")).toMatch(/metrics.jsonl lacks/);
  });

  it("--resume takes the newest run with a checkpoint, a path the one that it names", async () => {
    const [config, cwd] = [resolve("configs/tiny.yaml"), process.cwd()];
    const go = async (work: SessionWork, ...more: string[]) => {
      const options = parseRunOptions(info, [config, ...more, ...fixed], () => {})!;
      const settings = await loadConfig(options.config, { ...options, readText });
      const { folder, checkpoint, passedOver } = await chooseRun(settings, options);
      const resume = checkpoint ?? options.resume;
      await session(settings, folder, work, resume);
      return { folder, passedOver };
    };
    process.chdir(root);
    try {
      await go(steps(4));
      const broken: SessionWork = () => Promise.reject(new Error("no such model"));
      await expect(go(broken)).rejects.toThrow("no such model");
      // A start that came to nothing leaves nothing.
      expect(await readdir("runs")).toEqual(["tiny-001"]);
      await expect(go(steps(Infinity, 1))).rejects.toThrow("the device is gone");
      expect(await go(steps(5), "--resume")).toEqual({
        folder: "runs/tiny-001",
        passedOver: [{ folder: "runs/tiny-002", reason: "it came to no step" }],
      });
      expect(goneOnFrom()).toEqual([4]);
      await go(steps(5), "--resume", "runs/tiny-001/checkpoint-00004/");
      expect(goneOnFrom()).toEqual([4]);
      expect(warnings().join()).toContain("later-checkpoint-00005 is of later steps: set aside.");
      await expect(go(steps(), "--resume", "runs")).rejects.toMatchObject({ code: "no-run" });
    } finally {
      process.chdir(cwd);
    }
  });

  it("a run's own record resumes it, modules of rewards included", async () => {
    const config = join(root, "conf", "own.yaml");
    await mkdir(join(root, "conf"));
    await writeFile(join(root, "conf", "my #1.mjs"), "");
    const text = `extends: ${resolve("configs/tiny.yaml")}
rewards: [{name: module, module: "./my #1.mjs", weight: 1}]
output: {run_dir: ${join(root, "deep", "m")}}
`;
    await writeFile(config, text);
    const folder = join(root, "deep", "m");
    const go = async (file: string, work: SessionWork, resume: boolean) => {
      const settings = await loadConfig(file, { readText, overrides: fixed });
      return session(settings, folder, work, resume);
    };
    await go(config, steps(2), false);
    const record = join(folder, "config.yaml");
    expect(await readFile(record, "utf8")).toContain(
      `module: "${join(root, "conf", "my #1.mjs")}"`,
    );
    await go(record, steps(3), true);
    await go(config, steps(4), true);
    const facts = await readFile(join(folder, "run.json"), "utf8");
    expect((JSON.parse(facts) as { command: string }).command).toBe("the start");
  });

  it("a folder with other things in it is not taken for a run", async () => {
    await mkdir(join(root, "x"));
    await writeFile(join(root, "x", "thesis.tex"), "");
    const refused = run("x", steps());
    await expect(refused).rejects.toMatchObject({ code: "run-folder-not-empty" });
    await expect(refused).rejects.toThrow("holds other files: thesis.tex. Choose an empty");
    expect(await readdir(join(root, "x"))).toEqual(["thesis.tex"]);
    await expect(run("../../proc/x", steps())).rejects.toMatchObject({
      code: "run-folder-unwritable",
    });
  });

  it("a run whose lock is no longer its own writes no more", async () => {
    const robbed: SessionWork = async (session) => {
      await writeFile(join(root, "r", ".lock"), "another-host 7 x");
      return steps()(session);
    };
    await expect(run("r", robbed)).rejects.toMatchObject({ code: "lock-lost" });
    for (const log of ["metrics.jsonl", "rollouts.jsonl"]) {
      expect(await readFile(join(root, "r", log), "utf8").catch(() => "")).toBe("");
    }
  });

  it("refuses what cannot work before any work", async () => {
    const never: SessionWork = () => Promise.reject(new Error("was called"));
    await writeFile(join(root, "file"), "");
    await expect(run("file/run", never)).rejects.toMatchObject({ code: "run-folder-unwritable" });
    await expect(run("e", never, "--resume")).rejects.toMatchObject({ code: "no-run" });
    expect(await readdir(root)).toEqual(["file"]);
  });
});
