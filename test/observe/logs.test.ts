import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import { Events } from "../../src/core/events.ts";
import { report, reportSpan } from "../../src/core/run-events.ts";
import { appendJsonLine, type LogFile } from "../../src/observe/log-file.ts";
import { completionMetrics, completionView } from "../../src/observe/completions.ts";
import { METRICS, metricInfo, MetricMeter } from "../../src/observe/metrics.ts";
import { logsIn, openLogFile } from "../../src/observe/node.ts";
import { LOG_FILES, type LogPosition, RunLogs } from "../../src/observe/run-logs.ts";
import { rolloutMetrics } from "../../src/policy/rollout-metrics.ts";
import { memoryLog } from "../helpers/memory-log.ts";
import { rolloutRecord } from "../helpers/rollout-record.ts";

const encoder = new TextEncoder();
const text = (log: { content(): Uint8Array }): string => new TextDecoder().decode(log.content());

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-logs-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe("log files", () => {
  it("append at once, count bytes, and are cut back on resume", async () => {
    const path = join(root, "a", "x.jsonl");
    const log = openLogFile(path);
    appendJsonLine(log, { text: "n\u00e9", nan: NaN });
    expect(await readFile(path, "utf8")).toBe('{"text":"n\u00e9","nan":null}\n');
    const kept = log.bytes;
    expect(kept).toBe(26);
    appendJsonLine(log, "lost");
    log.flush();
    log.close();
    const resumed = openLogFile(path, kept);
    appendJsonLine(resumed, 2);
    resumed.close();
    expect(await readFile(path, "utf8")).toBe('{"text":"n\u00e9","nan":null}\n2\n');
    const short = openLogFile(path, 999);
    expect(short).toMatchObject({ bytes: 28, missing: 971 });
    short.close();
    await writeFile(path, '{"a":1}\n{"b":');
    const torn = openLogFile(path, 12);
    appendJsonLine(torn, "c");
    torn.close();
    expect(torn).toMatchObject({ missing: 4 });
    expect(await readFile(path, "utf8")).toBe('{"a":1}\n"c"\n');
  });

  it.skipIf(!existsSync("/dev/full"))("a full disk has its own name and remedy", () => {
    const log = openLogFile("/dev/full");
    expect(() => log.append(encoder.encode("x"))).toThrow(CheckpointError);
    try {
      log.append(encoder.encode("x"));
    } catch (error) {
      expect(error).toMatchObject({ code: "disk-full" });
      expect((error as Error).message).toContain("(ENOSPC). Free some space");
    }
    expect(log.bytes).toBe(0);
  });

  it("a folder that cannot be made is named", async () => {
    await writeFile(join(root, "file"), "");
    expect(() => openLogFile(join(root, "file", "x"))).toThrow(/Cannot open .*x \(E/);
  });
});

describe("run logs", () => {
  function session(resumeAt?: LogPosition) {
    const events = new Events();
    const logs = new RunLogs({
      open: logsIn(root),
      rollouts: true,
      tensorboard: true,
      trace: true,
      loggingSteps: 2,
      now: () => 1000,
      ...(resumeAt && { resumeAt }),
    });
    events.listen(logs.listen);
    return { events, logs };
  }
  function step(events: Events, number: number): void {
    report(events, "rollout", rolloutRecord({ step: number }));
    const metrics = { reward: number, learning_rate: number / 10 };
    report(events, "step", { step: number, totalSteps: 5, metrics });
  }
  const all = (): string[] =>
    Object.values(LOG_FILES).map((f) => readFileSync(join(root, f), "latin1"));

  it("a resumed run leaves the same bytes as one that was never stopped", async () => {
    const { events, logs } = session();
    report(events, "evaluation", {
      ...{ benchmark: "own", prefix: "eval/own" },
      step: 0,
      when: "before",
      control: null,
      questions: 4,
      failed: 1,
      scores: { overall: 0.5, format: 1 },
      rewards: { reward: 0.25, "rewards/format/mean": 1 },
    });
    for (const number of [1, 2, 3]) step(events, number);
    const position = JSON.parse(JSON.stringify(logs.position())) as LogPosition;
    report(events, "checkpoint", { step: 3, folder: "c" });
    for (const number of [4]) step(events, number);
    report(events, "warning", { code: "x", message: "lost" });
    logs.close();
    const second = session(position);
    for (const number of [4, 5]) step(second.events, number);
    second.logs.close();
    const resumed = all();
    await rm(root, { recursive: true });
    const whole = session();
    report(whole.events, "evaluation", {
      ...{ benchmark: "own", prefix: "eval/own" },
      step: 0,
      when: "before",
      control: null,
      questions: 4,
      failed: 1,
      scores: { overall: 0.5, format: 1 },
      rewards: { reward: 0.25, "rewards/format/mean": 1 },
    });
    for (const number of [1, 2, 3, 4, 5]) step(whole.events, number);
    whole.logs.close();
    expect(resumed).toEqual(all());
    const rows = resumed[0]!
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    const derived = completionMetrics([completionView(rolloutRecord())]);
    expect(rows).toEqual([
      {
        ...{ step: 0, "eval/own/overall": 0.5, "eval/own/format": 1, "eval/own/failed": 1 },
        ...{ "eval/own/reward": 0.25, "eval/own/rewards/format/mean": 1 },
      },
      { step: 2, ...derived, reward: 1.5, learning_rate: 0.2 },
      { step: 4, ...derived, reward: 3.5, learning_rate: 0.4 },
      { step: 5, ...derived, reward: 5, learning_rate: 0.5 },
    ]);
  });

  it("a log that is switched off for a session is gone on with after it", () => {
    const first = session();
    step(first.events, 1);
    const at = first.logs.position();
    first.logs.close();
    const off = { rollouts: false, tensorboard: false, trace: false, now: () => 1000 };
    const quiet = new RunLogs({ open: logsIn(root), loggingSteps: 2, resumeAt: at, ...off });
    const between = quiet.position();
    quiet.close();
    expect(between).toEqual(at);
    const last = session(between);
    step(last.events, 2);
    last.logs.close();
    const texts = readFileSync(join(root, LOG_FILES.rollouts), "utf8").trim().split("\n");
    expect(texts.map((text) => (JSON.parse(text) as { step: number }).step)).toEqual([1, 2]);
  });

  it("keeps the first failure for the trainer and never raises at a listener", () => {
    let left = 2;
    const open = (): LogFile => {
      const log = memoryLog();
      return {
        ...log,
        get bytes() {
          return log.bytes;
        },
        append(bytes) {
          if (left-- <= 0) throw new CheckpointError("disk-full", "Full.");
          log.append(bytes);
        },
      };
    };
    const events = new Events();
    const logs = new RunLogs({
      open,
      rollouts: false,
      tensorboard: false,
      trace: false,
      loggingSteps: 1,
      now: () => 0,
    });
    events.listen(logs.listen);
    step(events, 1);
    expect(() => logs.check()).not.toThrow();
    step(events, 2);
    step(events, 3);
    expect(() => logs.check()).toThrow("Full.");
    expect(() => logs.position()).toThrow("Full.");
  });

  it("traces spans, cut back on resume, as JSON that Perfetto opens", async () => {
    const open = (resumeAt?: LogPosition) => {
      const events = new Events();
      const logs = new RunLogs({
        open: logsIn(root),
        ...{ rollouts: false, tensorboard: false, trace: true, loggingSteps: 1 },
        now: () => 0,
        ...(resumeAt && { resumeAt }),
      });
      events.listen(logs.listen);
      return { events, logs };
    };
    const first = open();
    const before = performance.timeOrigin + performance.now();
    expect(await reportSpan(first.events, "rollout", 1, () => 7)).toBe(7);
    const kept = first.logs.position();
    const failed = reportSpan(first.events, "broken", 2, () => Promise.reject(new Error("no")));
    await expect(failed).rejects.toThrow("no");
    await reportSpan(first.events, "lost", 2, () => {});
    first.logs.close();
    const second = open(kept);
    const wait = () => new Promise((resolve) => setTimeout(resolve, 5));
    await reportSpan(second.events, "step", 2, async () => {
      await reportSpan(second.events, "optimizer", 2, wait);
    });
    second.logs.close();
    type TraceEvent = { name: string; ph: string; ts: number; dur: number; args: object };
    const trace = JSON.parse(readFileSync(join(root, LOG_FILES.trace), "utf8")) as TraceEvent[];
    expect(trace.map(({ name, ph }) => [name, ph])).toEqual([
      ["thread_name", "M"],
      ["rollout", "X"],
      ["optimizer", "X"],
      ["step", "X"],
      ["end", "M"],
    ]);
    const [, rollout, optimizer, whole] = trace;
    expect(rollout).toMatchObject({ pid: 1, tid: 1, args: { step: 1 } });
    expect(rollout!.ts).toBeGreaterThanOrEqual(before * 1000);
    expect(optimizer!.dur).toBeGreaterThan(4000);
    // Nested in time, which is how the viewer stacks them; times of 1e15 us have steps of 0.25.
    expect(optimizer!.ts).toBeGreaterThanOrEqual(whole!.ts);
    expect(optimizer!.ts + optimizer!.dur).toBeLessThanOrEqual(whole!.ts + whole!.dur + 1);
    expect(readFileSync(join(root, LOG_FILES.events), "utf8")).toBe("");
  });

  it("a metric that was not measured is left out", () => {
    const log = memoryLog();
    appendJsonLine(log, { a: 1 });
    expect(text(log)).toBe('{"a":1}\n');
    const meter = new MetricMeter();
    meter.add({ reward: 1, kl: NaN, num_tokens: 5, "completions/max_length": 9 });
    meter.add({ reward: 0, num_tokens: 11, "completions/max_length": 4 });
    expect(meter.take()).toEqual({ reward: 0.5, num_tokens: 11, "completions/max_length": 9 });
    expect(meter.take()).toEqual({});
  });
});

describe("metrics", () => {
  it("every metric has a sentence, and names with a star match", () => {
    for (const { name, doc } of METRICS) expect(doc, name).toMatch(/^[A-Z].*\.$/);
    expect(metricInfo("rewards/format/std")?.name).toBe("rewards/*/std");
    expect(metricInfo("rewards//std")?.name).toBeUndefined();
    expect(metricInfo("eval/overall")?.merge).toBe("last");
    expect(metricInfo("eval/own/overall")?.merge).toBe("last");
    expect(metricInfo("nonsense")).toBeUndefined();
  });

  it("are TRL's for a step of two groups", () => {
    const metrics = rolloutMetrics({
      sizes: [4, 4],
      rewards: [1, 0.2, 0.2, 0, 0.84, 0.84, 0.84, 0.84],
      parts: { format: [1, 1, 1, 0, 1, 1, 1, 1], letter: [1, 0, 0, NaN, 1, 1, 1, 1] },
      lengths: [8, 8, 9, 9, 8, 8, 8, 8],
      ended: [true, true, true, false, true, true, true, true],
      correct: [true, false, false, false, true, true, true, true],
      unparsed: [false, false, false, true, false, false, false, false],
      formatted: [true, true, true, false, true, true, true, true],
    });
    const mean = (1.4 + 4 * 0.84) / 8;
    const squares = [1, 0.2, 0.2, 0].map((reward) => (reward - mean) ** 2);
    const sum = squares.reduce((a, b) => a + b, 4 * (0.84 - mean) ** 2);
    expect(metrics["reward_std"]).toBeCloseTo(Math.sqrt(sum / 7), 14);
    expect(metrics["reward"]).toBeCloseTo(mean, 14);
    expect(metrics).toMatchObject({
      frac_reward_zero_std: 0.5,
      "rewards/format/mean": 0.875,
      "rewards/letter/mean": 5 / 7,
      correct: 0.625,
      unparsed: 0.125,
      format: 0.875,
      "completions/mean_length": 8.25,
      "completions/min_length": 8,
      "completions/max_length": 9,
      "completions/clipped_ratio": 0.125,
      "completions/mean_terminated_length": 57 / 7,
      "completions/max_terminated_length": 9,
    });
    for (const name of Object.keys(metrics)) expect(metricInfo(name), name).toBeDefined();
  });
});
