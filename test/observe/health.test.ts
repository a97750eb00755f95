import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Events } from "../../src/core/events.ts";
import { report, type RunEvents } from "../../src/core/run-events.ts";
import { HEALTH_RULES, HealthMonitor } from "../../src/observe/health/monitor.ts";
import type { HealthFacts } from "../../src/observe/health/rule.ts";
import type { WriteFile } from "../../src/observe/log-file.ts";
import { RunLogs } from "../../src/observe/run-logs.ts";
import { healthSchema } from "../../src/observe/schema.ts";
import { type MemoryLog, memoryLog } from "../helpers/memory-log.ts";
import { rolloutRecord } from "../helpers/rollout-record.ts";

type Row = Record<string, unknown>;
type Metrics = Record<string, number>;
type Rules = NonNullable<Parameters<typeof healthSchema.parse>[0]>;

const golden = (name: string): Row[] =>
  readFileSync(new URL(`../golden/observe/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);

/** The metrics and some completions of a real run of the tiny task, which learnt it. */
const HEALTHY = golden("tiny-metrics.jsonl").map((row) => row as Metrics);
const ROLLOUTS = golden("tiny-rollouts.jsonl").map((row, i): Row => {
  const group = golden("tiny-rollouts.jsonl").slice(
    8 * Math.floor(i / 8),
    8 * Math.floor(i / 8) + 8,
  );
  const mean = group.reduce((sum, { reward }) => sum + (reward as number), 0) / 8;
  return { ...row, advantage: (row["reward"] as number) - mean, banned_mass: 1e-7 };
});

interface Saved {
  files: Map<string, string>;
  logs: Map<string, MemoryLog>;
}

/** A run whose trainer is this test. */
function run(
  rules: Rules = {},
  facts: Partial<HealthFacts> = {},
  saved: Saved = { files: new Map(), logs: new Map() },
  resumeAt?: ReturnType<RunLogs["position"]>,
  loggingSteps = 1,
) {
  const events = new Events();
  const heard: RunEvents["health"][] = [];
  const text = (name: string): string => new TextDecoder().decode(saved.logs.get(name)?.content());
  const write: WriteFile = (name, bytes) =>
    void saved.files.set(name, new TextDecoder().decode(bytes));
  const health = new HealthMonitor({
    rules: healthSchema.parse(rules),
    facts: { task: "grpo", beta: 0, updatesPerRollout: 1, promptsPerStep: 4, ...facts },
    events,
    write,
  });
  const logs = new RunLogs({
    open: (name, keep) => {
      const kept = keep === undefined ? undefined : saved.logs.get(name)?.content().slice(0, keep);
      const log = memoryLog(kept);
      saved.logs.set(name, log);
      return log;
    },
    ...{ rollouts: true, tensorboard: false, trace: false, loggingSteps, now: () => 0 },
    watcher: health,
    ...(resumeAt && { resumeAt }),
  });
  if (resumeAt) health.restore(text("metrics.jsonl"), text("events.jsonl"));
  events.listen(logs.listen);
  events.listen(({ kind, data }) => {
    if (kind === "health") heard.push(data as RunEvents["health"]);
  });
  const step = (
    number: number,
    change: Metrics = {},
    rollouts: readonly Row[] = ROLLOUTS,
  ): void => {
    for (const row of rollouts) report(events, "rollout", rolloutRecord({ ...row, step: number }));
    const metrics = { ...HEALTHY[(number - 1) % HEALTHY.length]!, ...change };
    report(events, "step", { step: number, totalSteps: 100, metrics });
  };
  const firing = (): string[] => health.findings.map(({ rule }) => rule);
  const found = (rule: string) => health.findings.find((one) => one.rule === rule);
  return { health, logs, heard, step, firing, found, saved };
}

/** Completions of which some are changed. */
function changed(count: number, change: (row: Row) => Row): Row[] {
  return ROLLOUTS.map((row, i) => (i < count ? { ...row, ...change(row) } : row));
}

const systems = (count: number): Row[] =>
  changed(count, () => ({
    text: "system".repeat(20),
    ids: Array<number>(20).fill(8948),
    finished: false,
    reward: 0.1,
    rewards: { format: 0, correct: 0, people_focus: 0.1 },
  }));

describe("a healthy run", () => {
  it("is called so at every step of a real one, and only noted what is by construction", () => {
    const { heard, step, saved, firing } = run();
    HEALTHY.forEach((_, i) => step(i + 1));
    expect(heard.filter(({ verdict }) => verdict !== "healthy")).toEqual([]);
    const noted = new Set(heard.flatMap(({ findings }) => findings.map(({ rule }) => rule)));
    expect([...noted].filter((rule) => rule !== "zero_loss")).toEqual([]);
    expect(firing().length).toBeLessThan(2);
    expect(saved.files.get("health.md")).toContain("The run is healthy.");
    expect(JSON.parse(saved.files.get("health.json")!)).toMatchObject({
      step: HEALTHY.length,
      verdict: "healthy",
    });
  });

  it("has every rule of the configuration, and nothing else", () => {
    const names = HEALTH_RULES.map(({ name }) => name).sort();
    expect(names).toEqual(Object.keys(healthSchema.shape).sort());
  });
});

describe("repetition", () => {
  it("as in the report on systemsystemsystem is found within one step, with an example", () => {
    const { heard, step, found, saved } = run();
    step(1);
    expect(found("repetition")).toBeUndefined();
    step(2, {}, systems(32));
    const event = heard.at(-1)!;
    expect(event).toMatchObject({ step: 2, verdict: "warning" });
    const finding = found("repetition")!;
    expect(finding.message).toMatch(/^32 of 32 completions \(100 %\) repeat themselves/);
    expect(finding.message).toContain("one token makes 100 % of it");
    expect(finding.example).toContain("systemsystemsystem");
    // The keyword reward that paid for it.
    expect(found("paid_garbage")?.message).toContain("(people_focus 0.1)");
    const words = saved.files.get("health.md")!;
    expect(words).toContain("**repetition**, since step 2: 32 of 32");
    expect(words).toContain("systemsystemsystem");
    expect(words).not.toMatch(/undefined|NaN/);
  });

  it("is found from a share on, and said to be over", () => {
    const { heard, step, firing, saved } = run();
    step(1, {}, systems(1));
    expect(firing()).not.toContain("repetition");
    step(2, {}, systems(2));
    expect(firing()).toContain("repetition");
    step(3);
    expect(heard.at(-1)!.verdict).toBe("healthy");
    expect(saved.files.get("health.md")).toContain("- repetition: steps 2 to 2");
  });
});

describe("each rule fires on its fault", () => {
  // One more is cut in the recorded run itself.
  const cut = changed(20, () => ({ finished: false }));
  const level = changed(32, () => ({ reward: 0.2, advantage: 0 }));
  const cases: [rule: string, says: RegExp, change: Metrics, rollouts?: Row[]][] = [
    ["truncation", /21 of 32 completions \(66 %\) were cut/, {}, cut],
    [
      "garbage",
      /4 of 32 completions \(13 %\) are garbage .*broken/,
      {},
      changed(4, () => ({ text: "a\ufffd\ufffd\ufffd b" })),
    ],
    [
      "banned_mass",
      /hold 0.02 of a token's probability/,
      {},
      changed(1, () => ({ banned_mass: 0.02 })),
    ],
    [
      "advantage_outlier",
      /One advantage is 42.7 \(limit 10\)/,
      {},
      changed(1, () => ({ advantage: 42.7 })),
    ],
    ["dead_gradient", /norm is 0 although there is something to learn/, { grad_norm: 0 }],
    ["non_finite", /loss is NaN and grad_norm is Infinity/, { loss: NaN, grad_norm: Infinity }],
    ["kl_drift", /3.5 nats a token away .* limit 1\)/, { kl: 3.5 }],
    ["mismatch", /token_mult_prob_error is 1.05, limit 1.02/, { token_mult_prob_error: 1.05 }],
    [
      "mismatch",
      /is 1.2 on rows of the kind hear \(1.01 over all\)/,
      {
        token_mult_prob_error: 1.01,
        "token_mult_prob_error/see": 1,
        "token_mult_prob_error/hear": 1.2,
      },
    ],
    ["mismatch", /is 1.11/, { "sampling/sampling_logp_difference/mean": 0.1 }],
    ["over_budget", /3 rows were left out/, { "data/rows_over_budget": 3 }],
    [
      "reward_failure",
      /judge failed for 2 of 32 completions/,
      {},
      changed(2, () => ({ reward_errors: { judge: "timed out after 15 s" } })),
    ],
    ["zero_loss", /by construction: .*norm 0.3\): watch the reward/, { loss: 0, grad_norm: 0.3 }],
    ["zero_loss", /equal within every group/, { loss: 0, grad_norm: 0, reward_std: 0 }, level],
  ];
  it.each(cases)("%s: %s", (rule, says, change, rollouts) => {
    const { step, firing, found, health } = run();
    step(1, { loss: 0.5, grad_norm: 0.5 });
    expect(firing()).toEqual([]);
    step(2, { loss: 0.5, grad_norm: 0.5, ...change }, rollouts);
    expect(found(rule)?.message).toMatch(says);
    if (rule === "non_finite") expect(() => health.check()).toThrow(/step 2: loss is NaN/);
    else expect(() => health.check()).not.toThrow();
    // A step whose rewards are all equal has no gradient, and that is no fault of the trainer.
    if (rollouts === level) expect(firing()).not.toContain("dead_gradient");
  });

  it("zero variance, all wrong and all right told apart", () => {
    const all = (correct: boolean): Row[] =>
      changed(32, () => ({ reward: correct ? 1 : 0, advantage: 0, correct }));
    const wrong = run();
    for (let i = 1; i <= 3; i++) wrong.step(i, { frac_reward_zero_std: 1 }, all(false));
    expect(wrong.found("zero_variance")?.message).toMatch(
      /100 % of the groups of the last 3 rows .*100 % all wrong, 0 % all right\. No completion/,
    );
    const right = run();
    for (let i = 1; i <= 3; i++) right.step(i, { frac_reward_zero_std: 1 }, all(true));
    expect(right.found("zero_variance")?.message).toContain("These rows are learnt");
    // Four groups are too few for a verdict.
    const early = run();
    early.step(1, { frac_reward_zero_std: 1 }, all(false));
    expect(early.found("zero_variance")).toBeUndefined();
  });

  it("length collapse: completions shrink to a letter, or only a little (F21)", () => {
    const shrinking = (to: number) => {
      const watched = run();
      for (let i = 1; i <= 12; i++) {
        watched.step(i, {
          "completions/mean_length": 200 + ((to - 200) * (i - 1)) / 11,
          loss: 0.1,
        });
      }
      return watched.found("length_collapse")?.message;
    };
    // Means of the first four and last four of 200, ..., 4: 173.3 and 30.7.
    expect(shrinking(4)).toMatch(/from 173 to 30\.7 tokens over the last 12 rows/);
    expect(shrinking(60)).toBeUndefined();
    const early = run();
    for (let i = 1; i <= 7; i++) early.step(i, { "completions/mean_length": i < 4 ? 200 : 2 });
    expect(early.found("length_collapse")).toBeUndefined();
  });

  it("reward farming: format rises, correctness does not", () => {
    const rows = (right: (i: number) => number) => {
      const watched = run();
      for (let i = 0; i < 20; i++) {
        const format = Math.min(1, 0.3 + 0.05 * i);
        const correct = right(i);
        watched.step(i + 1, {
          ...{ format, correct, "rewards/format/mean": format, "rewards/correct/mean": correct },
          reward: 0.2 * format + 0.8 * correct,
          loss: 0.1,
        });
      }
      return watched;
    };
    const farmed = rows((i) => 0.25 + 0.01 * (i % 2));
    expect(farmed.found("reward_farming")?.message).toMatch(
      /reward rose from .* over 16 rows by format 0.\d+ to 1, while correctness went from 0.25/,
    );
    expect(rows((i) => 0.25 + 0.03 * i).found("reward_farming")).toBeUndefined();
  });

  it("the example of a failed reward is one short line, whatever its error says", () => {
    const { step, found } = run();
    const page = `HTTP 502\n\u001b[31m<html>${"<p>".repeat(500)}`;
    step(
      1,
      { loss: 0.5 },
      changed(1, () => ({ reward_errors: { judge: page } })),
    );
    const { example } = found("reward_failure")!;
    expect(example).toMatch(/^"HTTP 502 \\u001b\[31m<html><p>.*\.\.\."$/);
    expect(example!.length).toBeLessThan(140);
  });

  it("a step whose telling completions are masked is neither dead nor of equal rewards", () => {
    const none = { loss: 0, grad_norm: 0 };
    const masked = run({ truncation: { action: "mask" } });
    masked.step(
      1,
      none,
      changed(32, () => ({ finished: false, masked: true })),
    );
    const cut = run({}, { maskTruncated: true });
    cut.step(
      1,
      none,
      changed(32, () => ({ finished: false })),
    );
    for (const { firing, found } of [masked, cut]) {
      expect(firing()).not.toContain("dead_gradient");
      expect(found("zero_loss")?.message).toBe(
        "The loss is 0 because every completion with an advantage is masked: this step teaches nothing.",
      );
    }
    // A gradient of 0 is dead, and no loss that is 0 by construction.
    const dead = run({}, { maskTruncated: true });
    dead.step(1, none);
    expect(dead.firing()).toContain("dead_gradient");
    expect(dead.firing()).not.toContain("zero_loss");
  });

  it("a loss of 0 is no news with a KL term, several updates or supervised training", () => {
    for (const facts of [{ beta: 0.04 }, { updatesPerRollout: 2 }, { task: "sft" as const }]) {
      const { step, firing } = run({}, facts);
      step(1, { loss: 0 });
      expect(firing()).toEqual([]);
    }
  });
});

describe("actions", () => {
  it("off is silent, stop ends the run by name, a note leaves it healthy", () => {
    const off = run({ repetition: { action: "off" }, paid_garbage: { action: "off" } });
    off.step(1, {}, systems(32));
    expect(off.firing()).not.toContain("repetition");
    const stop = run({ repetition: { action: "stop" } });
    expect(() => stop.logs.check()).not.toThrow();
    stop.step(1, {}, systems(32));
    expect(stop.heard.at(-1)!.verdict).toBe("stop");
    expect(() => stop.logs.check()).toThrow(
      expect.objectContaining({ code: "health-stop" }) as Error,
    );
    expect(() => stop.logs.check()).toThrow(/health.repetition.action stopped the run/);
    const note = run({ repetition: { action: "note" }, paid_garbage: { action: "off" } });
    note.step(1, { loss: 1 }, [...systems(10), ...ROLLOUTS.slice(10)]);
    expect(note.heard.at(-1)).toMatchObject({ verdict: "healthy" });
    const mask = run({ repetition: { action: "mask", threshold: 0.5 } });
    mask.step(1, {}, systems(20));
    expect(mask.found("repetition")?.level).toBe("warn");
    expect(() => healthSchema.parse({ kl_drift: { action: "mask" } })).toThrow();
  });
});

describe("a note on single steps", () => {
  it("is told the first time, shown while it holds, and leaves no history", () => {
    const { step, heard, saved, firing } = run();
    for (let i = 1; i <= 12; i++) {
      step(i, { loss: i % 2 === 0 ? 0 : 0.1 });
      expect(firing()).toEqual(i % 2 === 0 ? ["zero_loss"] : []);
    }
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({ step: 2, findings: [{ rule: "zero_loss", level: "note" }] });
    expect(saved.files.get("health.md")).toContain("**zero_loss**: The loss is 0 by construction");
    expect(saved.files.get("health.md")).not.toContain("Over again");
  });
});

describe("a long run", () => {
  it("tells of the last stretches and of what fires since long ago", () => {
    const { step, saved } = run();
    const bad = (i: number) => (i % 2 === 0 ? systems(8) : ROLLOUTS);
    for (let i = 1; i <= 100; i++) step(i, { kl: 2, loss: 0.1 }, bad(i));
    const { history } = JSON.parse(saved.files.get("health.json")!) as {
      history: { rule: string; from: number; to: number | null }[];
    };
    expect(history).toHaveLength(32);
    expect(history[0]).toEqual({ rule: "kl_drift", from: 1, to: null });
    const repeated = history.filter(({ rule }) => rule === "repetition");
    expect(repeated.at(-1)).toEqual({ rule: "repetition", from: 100, to: null });
    expect(repeated.at(-2)).toEqual({ rule: "repetition", from: 98, to: 98 });
  });
});

describe("resume", () => {
  it("judges as a run that was never stopped, to the byte", () => {
    const play = (watched: ReturnType<typeof run>, from: number, to: number): void => {
      for (let i = from; i <= to; i++) {
        const bad = i >= 3 && i <= 6 ? systems(8) : ROLLOUTS;
        watched.step(i, { reward: 0.05 * i, correct: 0.25, loss: 0.1, kl: i > 7 ? 2 : 0 }, bad);
      }
    };
    const whole = run();
    play(whole, 1, 18);
    const first = run();
    play(first, 1, 4);
    const position = first.logs.position();
    play(first, 5, 7);
    const second = run({}, {}, first.saved, position);
    expect(second.firing()).toContain("repetition");
    play(second, 5, 18);
    for (const name of ["health.json", "health.md"]) {
      expect(second.saved.files.get(name)).toBe(whole.saved.files.get(name));
    }
    const text = ({ saved }: typeof whole, name: string): string =>
      new TextDecoder().decode(saved.logs.get(name)!.content());
    for (const name of ["metrics.jsonl", "events.jsonl", "rollouts.jsonl"]) {
      expect(text(second, name)).toBe(text(whole, name));
    }
    expect(whole.firing()).toContain("reward_farming");
  });

  it("keeps the last row's words of a finding, also where the log has older ones", () => {
    const play = (watched: ReturnType<typeof run>, from: number, to: number): void => {
      for (let i = from; i <= to; i++) {
        watched.step(i, { kl: 2 + i, loss: 0.1 }, i === 8 ? systems(8) : ROLLOUTS);
      }
    };
    const whole = run({}, {}, undefined, undefined, 3);
    play(whole, 1, 8);
    const first = run({}, {}, undefined, undefined, 3);
    play(first, 1, 7);
    const second = run({}, {}, first.saved, first.logs.position(), 3);
    play(second, 8, 8);
    // Another rule fires at step 8, between two rows: the words are those of row 6.
    expect(whole.found("kl_drift")?.message).toContain("The policy is 7 nats");
    expect(second.heard.at(-1)).toEqual(whole.heard.at(-1));
  });
});
