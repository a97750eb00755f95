import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkResumable } from "../../src/config/compare.ts";
import { runSchema } from "../../src/config/schema.ts";
import { Events } from "../../src/core/events.ts";
import { report, type RolloutRecord } from "../../src/core/run-events.ts";
import { METRIC_ALIASES, withAliases } from "../../src/observe/aliases.ts";
import { completionsFile, completionsParquet } from "../../src/observe/completions-parquet.ts";
import { completionMetrics, completionView } from "../../src/observe/completions.ts";
import { metricInfo } from "../../src/observe/metrics.ts";
import { filesIn, logsIn } from "../../src/observe/node.ts";
import { type LogPosition, RunLogs } from "../../src/observe/run-logs.ts";
import { trackerCommands } from "../../src/observe/trackers.ts";
import { memoryLog } from "../helpers/memory-log.ts";
import { rolloutRecord } from "../helpers/rollout-record.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "aubade-trackers-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A completion's event as the trainer reports it. */
function rollout(step: number, completion: number, change: Partial<RolloutRecord> = {}) {
  return rolloutRecord({
    ...{ step, sample: `row-${step}`, draw: step, completion, kind: "see" },
    ...{ question: "Which?", options: ["red", "blue"], answer: "B" },
    ...{ text: `answer ${completion} \u4e2d`, finished: true, reward: completion },
    rewards: { format: 1, correct: completion },
    advantage: completion - 0.5,
    ids: [1, 2, 3],
    log_probs: [-1, -2, -0.5],
    ...change,
  });
}

describe("completions as parquet", () => {
  const views = [rollout(10, 0), rollout(10, 1, { rewards: { format: null } })];
  const rows = views.map((view) => completionView(view));

  it("have TRL's name and columns, and null where nothing was measured", async () => {
    expect(completionsFile(10)).toBe("completions/completions_00010.parquet");
    const { buffer } = completionsParquet(10, rows);
    const read = await parquetReadObjects({ file: buffer as ArrayBuffer });
    const prompt = "Which?\nA. red\nB. blue";
    expect(read).toEqual([
      {
        ...{ step: 10n, prompt, completion: "answer 0 \u4e2d", format: 1, correct: 0 },
        advantage: -0.5,
      },
      {
        ...{ step: 10n, prompt, completion: "answer 1 \u4e2d", format: null, correct: null },
        advantage: 0.5,
      },
    ]);
    expect(Object.keys(read[0]!)).toEqual(
      "step prompt completion format correct advantage".split(" "),
    );
    expect(completionsParquet(10, rows)).toEqual(completionsParquet(10, rows));
  });

  it("a reward with the name of another column keeps it beside that column", async () => {
    const rewards = { step: 0.5, completion: 1, own: 2 };
    const { buffer } = completionsParquet(3, [completionView(rollout(3, 0, { rewards }))]);
    const [row] = await parquetReadObjects({ file: buffer as ArrayBuffer });
    expect(row).toMatchObject({ step: 3n, completion: "answer 0 \u4e2d", own: 2 });
    expect(row).toMatchObject({ "rewards/step": 0.5, "rewards/completion": 1 });
  });

  it("are those of the logged step alone, the same after a resume", () => {
    const open = (folder: string, resumeAt?: LogPosition) => {
      const events = new Events();
      const logs = new RunLogs({
        open: logsIn(folder),
        ...{ rollouts: true, tensorboard: false, trace: false, loggingSteps: 2, now: () => 0 },
        completions: filesIn(folder),
        ...(resumeAt && { resumeAt }),
      });
      events.listen(logs.listen);
      const step = (number: number): void => {
        for (const i of [0, 1]) report(events, "rollout", rollout(number, i));
        report(events, "step", { step: number, totalSteps: 5, metrics: { reward: 0.5 } });
      };
      return { logs, step };
    };
    const whole = open(join(root, "whole"));
    for (let i = 1; i <= 5; i++) whole.step(i);
    const first = open(join(root, "cut"));
    for (let i = 1; i <= 3; i++) first.step(i);
    const position = first.logs.position();
    first.step(4);
    const second = open(join(root, "cut"), position);
    for (let i = 4; i <= 5; i++) second.step(i);
    for (const step of [2, 4, 5]) {
      const [a, b] = ["whole", "cut"].map((run) =>
        readFileSync(join(root, run, completionsFile(step))),
      );
      expect(a!.equals(b!)).toBe(true);
    }
    expect(existsSync(join(root, "whole", completionsFile(3)))).toBe(false);
    expect(existsSync(join(root, "whole", `${completionsFile(2)}.part`))).toBe(false);
  });

  it("that cannot be written are the run's failure", () => {
    const events = new Events();
    const logs = new RunLogs({
      open: () => memoryLog(),
      ...{ rollouts: false, tensorboard: false, trace: false, loggingSteps: 1, now: () => 0 },
      completions: filesIn("/dev/null/x"),
    });
    events.listen(logs.listen);
    report(events, "rollout", rollout(1, 0));
    report(events, "step", { step: 1, totalSteps: 5, metrics: { reward: 0.5 } });
    expect(() => logs.check()).toThrow(/Cannot write .*completions_00001.parquet/);
  });
});

describe("metrics of completions", () => {
  it("are of whole completions and whole groups", () => {
    const group = (sample: string, rewards: number[]) =>
      rewards.map((reward, i) =>
        completionView(rollout(1, i, { sample, reward, correct: reward === 1, advantage: reward })),
      );
    const metrics = completionMetrics([
      ...group("a", [1, 1]),
      ...group("b", [0, 0]),
      ...group("c", [0, 1]),
      ...group("d", [0, 0]),
    ]);
    expect(metrics).toMatchObject({
      "rollout/seq_log_prob": -3.5,
      "groups/all_right": 0.25,
      "groups/all_wrong": 0.5,
      "advantages/mean": 0.375,
      "advantages/max": 1,
      "completions/degenerate_ratio": 0,
      "rollout/banned_mass": 0,
    });
    for (const name of Object.keys(metrics)) expect(metricInfo(name), name).toBeDefined();
    expect(completionMetrics([])).toEqual({});
  });
});

describe("other programs' names", () => {
  it("stand for metrics that exist", () => {
    for (const { of } of METRIC_ALIASES)
      expect(metricInfo(of.replace("*", "mean")), of).toBeDefined();
  });

  it("are logged beside aubade's own, when asked for", () => {
    const row = { kl: 0.5, reward: 1, "rewards/format/mean": 0.75, "rollout/seq_log_prob": -9 };
    expect(withAliases(row)).toEqual({
      ...row,
      ...{ "grpo/kl_div": 0.5, "train/kl_penalty": 0.5, "actor/kl_loss": 0.5 },
      ...{ "grpo/total_reward": 1, "train/reward": 1, "critic/rewards/mean": 1 },
      ...{ "grpo/format_reward": 0.75, "rewards/format": 0.75 },
      "grpo/policy_seq_log_prob": -9,
    });
    const log = (aliases: boolean): string => {
      const events = new Events();
      const file = memoryLog();
      const logs = new RunLogs({
        open: (name) => (name === "metrics.jsonl" ? file : memoryLog()),
        ...{ rollouts: false, tensorboard: true, trace: false, loggingSteps: 1, now: () => 0 },
        aliases,
      });
      events.listen(logs.listen);
      report(events, "step", { step: 1, totalSteps: 1, metrics: { kl: 0.5 } });
      logs.check();
      return new TextDecoder().decode(file.content());
    };
    expect(log(false)).toBe('{"step":1,"kl":0.5}\n');
    expect(log(true)).toContain('"grpo/kl_div":0.5');
  });
});

describe("trackers", () => {
  it("get the command that imports the TensorBoard events", () => {
    const run = { events: "runs/tiny-001/tb", name: "tiny-001" };
    expect(trackerCommands([], run)).toEqual([]);
    expect(trackerCommands(["wandb", "trackio"], run)).toEqual([
      'pip install "wandb<=0.29.0" tensorboard && wandb sync --sync-tensorboard --project aubade --id tiny-001 runs/tiny-001/tb',
      'pip install "trackio[tensorboard]" && python -c \'import trackio; trackio.import_tf_events("runs/tiny-001/tb", project="tiny-001", name="aubade")\'',
    ]);
    const odd = trackerCommands(["wandb"], { events: "my runs/tb", name: "a" })[0];
    expect(odd).toContain("'my runs/tb'");
  });

  it("need the events to be written", () => {
    const model = { path: "x" };
    const wrong = runSchema.safeParse({
      model,
      output: { tensorboard: false, report_to: ["wandb"] },
    });
    expect(wrong.error?.issues[0]?.message).toBe(
      "output.report_to (wandb) needs the TensorBoard events",
    );
    expect(runSchema.parse({ model }).output).toMatchObject({
      report_to: [],
      completions: false,
      metric_aliases: false,
    });
  });
});

describe("health settings", () => {
  const config = (health: object) => runSchema.parse({ model: { path: "x" }, health });

  it("may change on resume, but for masks, which decide what is learnt", () => {
    const warn = config({});
    const stop = config({ repetition: { action: "stop", threshold: 0.2 } });
    const mask = config({ repetition: { action: "mask" } });
    expect(() => checkResumable(warn, stop, "run")).not.toThrow();
    expect(() => checkResumable(warn, mask, "run")).toThrow(/health.repetition.action was "warn"/);
    expect(() => checkResumable(mask, warn, "run")).toThrow(/is now "warn"/);
  });
});
