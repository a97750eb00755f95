import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "../../src/cli/commands/compare.ts";
import { compareAnswers, type ComparedAnswer, readAnswers } from "../../src/eval/compare.ts";
import { bootstrapInterval, mcnemar } from "../../src/eval/statistics.ts";

/** The two-sided exact p-value in whole numbers. */
function exactP(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB;
  const least = Math.min(onlyA, onlyB);
  let choose = 1n;
  let tail = 0n;
  for (let i = 0; i <= least; i++) {
    tail += choose;
    choose = (choose * BigInt(n - i)) / BigInt(i + 1);
  }
  const scaled = (2n * tail * 10n ** 18n) / 2n ** BigInt(n);
  return Math.min(1, Number(scaled) / 1e18);
}

describe("McNemar's exact test", () => {
  it.each([
    [0, 0],
    [1, 0],
    [0, 5],
    [3, 9],
    [12, 12],
    [40, 71],
    [500, 430],
  ])("of %i and %i is the binomial tail in whole numbers", (onlyA, onlyB) => {
    expect(mcnemar(onlyA, onlyB)).toBeCloseTo(exactP(onlyA, onlyB), 10);
  });

  it("gives the textbook values", () => {
    // Two of ten: 2 (1 + 10 + 45) / 1024.
    expect(mcnemar(2, 8)).toBeCloseTo(112 / 1024, 12);
    expect(mcnemar(0, 6)).toBeCloseTo(2 / 64, 12);
  });
});

describe("the bootstrap interval", () => {
  it("is that of all resamples, listed", () => {
    // The 256 resamples of four differences, each as likely.
    const values = [1, 0, 0, -1];
    const all: number[] = [];
    for (let at = 0; at < 256; at++) {
      const picks = [at & 3, (at >> 2) & 3, (at >> 4) & 3, (at >> 6) & 3];
      all.push(picks.reduce((sum, pick) => sum + values[pick]!, 0) / 4);
    }
    all.sort((a, b) => a - b);
    const exact = [all[Math.floor(0.025 * 256)], all[Math.ceil(0.975 * 256) - 1]];
    expect(bootstrapInterval(values, 3)).toEqual(exact);
  });

  it("is as wide as the standard error says, and the same for the same seed", () => {
    const values = Array.from({ length: 400 }, (_, at) => (at % 4 === 0 ? 1 : 0));
    const [low, high] = bootstrapInterval(values, 7);
    const error = Math.sqrt((0.25 * 0.75) / 400);
    expect(Math.abs(low - (0.25 - 1.96 * error))).toBeLessThan(0.1 * error);
    expect(Math.abs(high - (0.25 + 1.96 * error))).toBeLessThan(0.1 * error);
    expect(bootstrapInterval(values, 7)).toEqual([low, high]);
  });
});

const answer = (sample: string, correct: boolean, more: object = {}): ComparedAnswer => ({
  ...{ benchmark: "b", sample, categories: [sample < "m" ? "early" : "late"], correct },
  ...{ score: Number(correct), protocol: "p1", text: correct ? "B" : "A", question: "Which?" },
  ...more,
});
const options = { anyProtocol: false, seed: 0 };

describe("two evaluations", () => {
  const a = [answer("a", true), answer("b", false), answer("x", true), answer("z", false)];
  const b = [answer("a", true), answer("b", true), answer("x", false), answer("z", true)];

  it("are compared question by question, overall and by category", () => {
    const [found] = compareAnswers(a, b, options);
    expect(found).toMatchObject({
      ...{ benchmark: "b", questions: 4, a: 0.5, b: 0.75, difference: 0.25 },
      mcnemar: { onlyA: 1, onlyB: 2, p: 1 },
      unanswered: { a: 0, b: 0 },
    });
    expect(found!.categories["early"]).toMatchObject({ questions: 2, a: 0.5, b: 1 });
    expect(found!.categories["late"]).toMatchObject({ questions: 2, a: 0.5, b: 0.5 });
    expect(found!.changed.map(({ sample, right }) => [sample, right])).toEqual([
      ["b", "B"],
      ["x", "A"],
      ["z", "B"],
    ]);
  });

  it("count a question that one did not answer as wrong, and say so", () => {
    const [found] = compareAnswers(a, b.slice(1), options);
    expect(found).toMatchObject({ questions: 4, b: 0.5, unanswered: { a: 0, b: 1 } });
  });

  it("of different protocols are refused unless it is asked for", () => {
    const other = b.map((one) => ({ ...one, protocol: "p2" }));
    expect(() => compareAnswers(a, other, options)).toThrow(/b was asked in two ways \(p1, p2\)/);
    expect(compareAnswers(a, other, { ...options, anyProtocol: true })).toHaveLength(1);
    const elsewhere = b.map((one) => ({ ...one, benchmark: "c" }));
    expect(() => compareAnswers(a, elsewhere, options)).toThrow(
      "A has b, B has c: none is in both.",
    );
  });
});

describe("aubade compare", () => {
  const folder = mkdtempSync(join(tmpdir(), "aubade-compare-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let out = "";
  beforeEach(() => {
    out = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    return () => vi.restoreAllMocks();
  });

  const write = (name: string, rows: object[]): string => {
    const path = join(folder, name);
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return path;
  };
  const place = { step: 0, control: null };

  it("prints a table with intervals and what changed, or one object", async () => {
    const a = write("a.jsonl", [answer("a", true, place), answer("b", false, place)]);
    const b = write("b.jsonl", [answer("a", true, place), answer("b", true, place)]);
    const never = () => Promise.reject(new Error("an adapter was asked for"));
    expect(await main([a, b], never)).toBe(0);
    expect(out).toMatch(/^b\n +questions +A +B +B - A +95 % interval/);
    expect(out).toMatch(/^overall +2 +50\.0 +100\.0 +\+50\.0 +\+0\.0 to \+100\.0 +0 +1 +1\.0$/m);
    expect(out).toContain("b: right in B only: A | B");
    out = "";
    expect(await main([a, b, "--json"], never)).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ comparisons: [{ benchmark: "b", difference: 0.5 }] });
  });

  it("takes the last evaluation of a run, without what is taken away", async () => {
    const path = write("run.jsonl", [
      answer("a", false, place),
      answer("a", true, { step: 9, control: null }),
      answer("a", false, { step: 9, control: "muted" }),
    ]);
    expect((await readAnswers(path)).map(({ correct }) => correct)).toEqual([true]);
    const wrong = write("wrong.jsonl", [{ benchmark: "b" }]);
    await expect(readAnswers(wrong)).rejects.toThrow(
      /wrong\.jsonl:1 is no answer of an evaluation/,
    );
  });
});
