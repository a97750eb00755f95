import { describe, expect, it } from "vitest";
import { Events } from "../../src/core/events.ts";
import { report, reportInStep } from "../../src/core/run-events.ts";
import {
  bytesText,
  clockText,
  ConsoleLine,
  type ConsoleTarget,
  cutToWidth,
  rateText,
} from "../../src/observe/console-line.ts";

function watch(options: Partial<ConsoleTarget> = {}) {
  const events = new Events();
  const state = { now: 0, text: "" };
  const line = new ConsoleLine({
    write: (text) => (state.text += text),
    live: false,
    color: false,
    columns: () => 100,
    now: () => state.now,
    ...options,
  });
  events.listen(line.listen);
  const step = (number: number): void =>
    report(events, "step", {
      step: number,
      totalSteps: 40,
      metrics: {
        reward: 0.74,
        correct: 0.6875,
        format: 0.96875,
        kl: 0.00123,
        step_time: 2,
        "rollout/tokens_per_s": 1234,
      },
    });
  return { events, state, step };
}

describe("console line", () => {
  it("prints plain lines where nothing can be redrawn", () => {
    const { events, state, step } = watch();
    step(7);
    report(events, "evaluation", {
      ...{ benchmark: "tiny", prefix: "eval" },
      step: 0,
      when: "before",
      control: null,
      questions: 300,
      failed: 0,
      rewards: {},
      scores: { overall: 0.5, see: 0.48, hear: 0.52, format: 1 },
    });
    report(events, "warning", { code: "x", message: "audio cut" });
    const rows = ["a", "b", "c", "d", "e", "f"].map((row) => ({ row, message: `${row} is long.` }));
    report(events, "rows_over_budget", { rows, checked: 20 });
    expect(state.text).toBe(
      "step  7/40  reward 0.740  correct 0.688  format 0.969  kl 0.0012  tok/s 1.2k  left 1:06\n" +
        "before  overall 0.500 | see 0.480 hear 0.520 | format 1.000 (300 questions of tiny)\n" +
        "warning: audio cut\n" +
        "warning: 6 of 20 rows do not fit and are left out:\n" +
        "  a is long.\n  b is long.\n  c is long.\n  d is long.\n  e is long.\n" +
        "  and 1 more, which events.jsonl names\n",
    );
  });

  it("shows how far a long step is, once the line of the last one was there for a while", () => {
    const { events, state, step } = watch();
    const generating = (done: number) => reportInStep(events, 8, "generating", done, 512, "tokens");
    step(7);
    state.text = "";
    for (const [seconds, done] of [
      [0.1, 32],
      [1.9, 64],
      [12, 96],
      [15, 128],
      [32, 192],
    ] as const) {
      state.now = seconds * 1000;
      generating(done);
    }
    expect(state.text).toBe(
      "step 8: generating 96/512 tokens\nstep 8: generating 192/512 tokens  9.6 tokens/s  left 33s\n",
    );
  });

  it("says what was loaded, and how many weights a storage rounds", () => {
    const { events, state } = watch();
    const tiny = { parameters: 999, tensors: 12, trained: 999 };
    report(events, "model", { ...tiny, storage: "f32", inexact: 0 });
    const large = { parameters: 8_931_813_888, tensors: 4703, trained: 0 };
    report(events, "model", { ...large, storage: "f16s", inexact: 12 });
    expect(state.text).toBe(
      "model: 999 weights (12 tensors), 999 trained, f32\n" +
        "model: 8,931,813,888 weights (4,703 tensors), f16s, 12 inexact\n",
    );
  });

  it("shows bytes in the unit of their total, and a rate in its own", () => {
    const { events, state } = watch({ live: true });
    const loading = (done: number): void =>
      report(events, "progress", { what: "loading", done, total: 17_800_000_000, unit: "B" });
    loading(0);
    state.now = 2000;
    loading(1_200_000_000);
    expect(state.text).toContain("loading 1.2/17.8 GB  600 MB/s  left 28s");
    expect(bytesText(12, 999)).toBe("12/999 B");
    expect(bytesText(500, 2_000)).toBe("0.5/2.0 kB");
  });

  it("redraws one line at most ten times a second, and the last step always", () => {
    const { events, state, step } = watch({ live: true });
    for (let number = 1; number <= 39; number++) {
      state.now += 25;
      step(number);
    }
    expect(state.text.split("\r").length - 1).toBe(10);
    expect(state.text).not.toContain("\n");
    state.text = "";
    step(40);
    expect(state.text).toContain("step 40/40");
    expect(state.text).toContain("left 0s");
    state.text = "";
    report(events, "checkpoint", { step: 40, folder: "runs/x/checkpoint-00040" });
    expect(state.text).toMatch(/^\r.\[2Ksaved runs\/x\/checkpoint-00040\nstep 40\/40/);
    report(events, "end", { step: 40, stopped: false });
    expect(state.text.endsWith("\r\u001b[2K")).toBe(true);
  });

  it("shows a rate and the time left of anything long", () => {
    const { events, state } = watch({ live: true });
    const progress = (done: number): void =>
      report(events, "progress", { what: "evaluating", done, total: 192, unit: "questions" });
    progress(0);
    state.now = 2000;
    progress(48);
    expect(state.text).toContain("evaluating 48/192 questions  24 questions/s  left 6s");
  });

  it("says what is unhealthy when it begins, beside every step, and when it is over", () => {
    const { events, state, step } = watch();
    const finding = { rule: "repetition", level: "warn" as const, message: "9 of 9 repeat." };
    const note = { rule: "zero_loss", level: "note" as const, message: "By construction." };
    report(events, "health", { step: 1, verdict: "healthy", findings: [note] });
    report(events, "health", {
      ...{ step: 2, verdict: "warning" },
      findings: [{ ...finding, example: 'row-1, completion 0: "systemsystem"' }, note],
    });
    step(2);
    report(events, "health", { step: 3, verdict: "healthy", findings: [note] });
    step(3);
    expect(state.text.split("\n").map((line) => line.slice(0, 60))).toEqual([
      "health: repetition at step 2: 9 of 9 repeat.",
      '  row-1, completion 0: "systemsystem"',
      "step  2/40  health: repetition  reward 0.740  correct 0.688 ",
      "health: repetition over at step 3",
      "step  3/40  reward 0.740  correct 0.688  format 0.969  kl 0.",
      "",
    ]);
  });

  it("colours and cuts by what is seen", () => {
    const { state, step } = watch({ live: true, color: true, columns: () => 30 });
    step(1);
    const codes = new RegExp(`\\r|${"\u001b"}\\[[0-9;]*[mK]`, "g");
    const seen = state.text.replaceAll(codes, "");
    expect(seen).toBe("step  1/40  reward 0.740  cor");
    expect(state.text.endsWith("\u001b[0m")).toBe(true);
    expect(cutToWidth("abc", 2)).toBe("ab");
  });

  it("writes times and rates shortly", () => {
    expect([4.4, 59.6, 83, 7384].map(clockText)).toEqual(["4s", "1:00", "1:23", "2:03:04"]);
    expect([0.5, 87.4, 1234, 3_400_000].map(rateText)).toEqual(["0.5", "87", "1.2k", "3.4M"]);
  });
});
