import { describe, expect, test } from "vitest";
import { Events } from "../../src/core/events.ts";
import { byTypeReward, TYPE_REWARDS } from "../../src/reward/rewards/by-type.ts";
import { exactAlnumReward } from "../../src/reward/rewards/exact-alnum.ts";
import { formatTagsReward } from "../../src/reward/rewards/format-tags.ts";
import {
  defineReward,
  onlyFor,
  renameReward,
  type Completion,
  type RewardRow,
  type Score,
} from "../../src/reward/reward.ts";
import { RewardScorer } from "../../src/reward/scorer.ts";
import { summarise } from "../../src/reward/summarise.ts";

function completion(text: string, index = 0): Completion {
  return { text, ids: [], finished: true, index, draw: 0 };
}

const said = (answer: string) => `<think>x</think><answer>${answer}</answer>`;
const format = { reward: formatTagsReward(), weight: 0.2 };
const exact = { reward: exactAlnumReward(), weight: 0.8 };

describe("the sum", () => {
  test("is of the stored weighted parts, bit for bit, in their order", async () => {
    const parts = [0.1, 0.2, 0.3, 0.7, 1e-9].map((weight, at) => ({
      weight,
      reward: defineReward(`part-${at}`, () => 1 / 3 + at),
    }));
    const scorer = new RewardScorer(parts);
    const row = { id: "r", answer: "" };
    const { total, weighted, components } = await scorer.score(completion(""), row);
    let sum = 0;
    parts.forEach(({ weight, reward }) => {
      expect(weighted[reward.name]).toBe(weight * components[reward.name]!);
      sum += weighted[reward.name]!;
    });
    expect(total).toBe(sum);
    const stored = JSON.parse(JSON.stringify({ total, weighted })) as {
      total: number;
      weighted: Record<string, number>;
    };
    expect(Object.values(stored.weighted).reduce((a, b) => a + b, 0)).toBe(stored.total);
  });

  test("reaches source A's totals and no others", async () => {
    // Format 0.2 and correctness 0.8, as the reference lists them.
    const scorer = new RewardScorer([format, exact]);
    const row = { id: "r", answer: "C" };
    const texts = ["", "<think>x</think>", "<answer>A</answer>", said("A"), "<answer>C</answer>"];
    const scores = [...texts, said("C")].map((text) => scorer.score(completion(text), row));
    const totals = (await Promise.all(scores)).map(({ total }) => total!);
    [0, 0.05, 0.15, 0.2, 0.95, 1].forEach((total, at) => expect(totals[at]).toBeCloseTo(total, 15));
  });

  test("is null when a part with a weight fails, and the others stay", async () => {
    const broken = defineReward("broken", () => {
      throw new Error("no network");
    });
    const run = (weight: number) =>
      new RewardScorer([format, { reward: broken, weight }]).score(completion(said("C")), {
        ...{ id: "r", answer: "C" },
      });
    expect(await run(0.8)).toEqual({
      total: null,
      components: { "format-tags": 1, broken: null },
      weighted: { "format-tags": 0.2 },
      failures: { broken: "no network" },
    });
    expect((await run(0)).total).toBe(0.2);
  });
});

describe("RewardScorer", () => {
  const later = <T>(value: T, ms: number) =>
    new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));

  test("gives each completion its own row's answer, however late rewards are", async () => {
    const slow = defineReward("slow", async ({ text }, row: RewardRow) =>
      later(text.includes(`>${row.answer}<`) ? 1 : 0, row.answer === "A" ? 20 : 1),
    );
    const rows = ["A", "B", "C"].map((answer) => ({ id: answer, answer }));
    // The right completion of a row stands where its letter does.
    const groups = rows.map((row) => ({
      row,
      completions: ["A", "B", "C"].map((letter, at) => completion(said(letter), at)),
    }));
    const scorer = new RewardScorer([exact, { reward: slow, weight: 1 }]);
    const scores = await scorer.scoreGroups(groups);
    expect(scores.map((group) => group.map(({ total }) => total))).toEqual([
      [1.8, 0, 0],
      [0, 1.8, 0],
      [0, 0, 1.8],
    ]);
    expect(scorer.names).toEqual(["exact-alnum", "slow"]);
  });

  test("counts and reports failures with the first message, once a reward", async () => {
    const events = new Events();
    const heard: unknown[] = [];
    events.listen(({ kind, data }) => heard.push([kind, data]));
    const picky = defineReward("picky", async ({ index }: Completion) => {
      if (index % 2 === 1) throw new Error(`no to ${index}`);
      return index === 2 ? Number.NaN : 1;
    });
    const scorer = new RewardScorer([exact, { reward: picky, weight: 1 }], events);
    const completions = [0, 1, 2, 3].map((at) => completion(said("C"), at));
    const row = { id: "r", answer: "C" };
    const [scores] = await scorer.scoreGroups([{ row, completions }]);
    expect(scores!.map(({ total }) => total)).toEqual([1.8, null, null, null]);
    expect(scores!.map(({ components }) => components["exact-alnum"])).toEqual([1, 1, 1, 1]);
    expect(heard).toEqual([
      [
        "warning",
        {
          code: "reward-failed",
          message:
            'Reward "picky" failed for 3 of 4 completions, which have no score for it. The first time, in row r: no to 1',
        },
      ],
    ]);
    expect(scores![2]!.failures["picky"]).toContain('Reward "picky" gave NaN for completion 2');
  });

  test("refuses rewards that cannot be added up", () => {
    expect(() => new RewardScorer([exact, exact])).toThrow("listed twice");
  });
});

describe("values of the wrong type", () => {
  test.each([
    [undefined, "a value of type undefined"],
    ["1", '"1"'],
    [true, "a value of type boolean"],
    [Infinity, "Infinity"],
    [{ score: 1 }, '{"score":1}'],
    [() => 1, "a value of type function"],
  ])("%s is a failure", async (value, shown) => {
    const wrong = defineReward("wrong", () => value as number);
    const message = `Reward "wrong" gave ${shown} for completion 0 of row r`;
    expect(() => wrong.score(completion(""), { id: "r", answer: "" })).toThrow(message);
    const late = defineReward("wrong", async () => value as number);
    await expect(late.score(completion(""), { id: "r", answer: "" })).rejects.toThrow(message);
  });
});

describe("by-type", () => {
  const of = (problem_type: string | undefined, answer: string, text: string) =>
    byTypeReward({ except: ["essay"] }).score(completion(said(text)), {
      ...{ id: "r", answer },
      ...(problem_type !== undefined && { problem_type }),
    });

  test("chooses by the row, not by the batch", () => {
    expect(of("multiple choice", "C", "C")).toBe(1);
    expect(of("numerical", "3.14", "3.1401")).toBe(1);
    expect(of("multiple choice", "3.14", "3.1401")).toBe(0);
    expect(of("OCR", "a b", "a c")).toBe(0.5);
    expect(of("free-form", "a red ball", "a red ball")).toBe(1);
    expect(of("regression", "10", "5")).toBeCloseTo(0.5, 9);
    expect(of("emer_ov_mc", "B,C", "C")).toBeCloseTo(2 / 3, 15);
    expect(of("judge", "Yes", "yes")).toBe(1);
    expect(of("temporal retrieval", "[0, 10]", "[5, 10]")).toBe(0.5);
    expect(of("counting", "7", "7.0")).toBe(1);
    expect(Object.keys(TYPE_REWARDS)).toHaveLength(9);
  });

  test("leaves types to others, and is loud about unknown ones", () => {
    expect(of("essay", "x", "x")).toBe(null);
    expect(() => of("poem", "x", "x")).toThrow('Row r has problem_type "poem". Known are multiple');
    expect(() => of(undefined, "x", "x")).toThrow("Row r has no problem_type");
    expect(() => of("constructor", "x", "x")).toThrow('problem_type "constructor"');
    expect(() => of("numerical", "seven", "7")).toThrow('The answer of row r is "seven"');
  });

  test("any reward applies to listed types only, under any name", () => {
    const reward = renameReward(onlyFor(exactAlnumReward(), ["multiple choice"]), "letters");
    const row = { id: "r", answer: "C", problem_type: "multiple choice" };
    expect(reward.name).toBe("letters");
    expect(reward.score(completion(said("C")), row)).toBe(1);
    expect(reward.score(completion(said("C")), { ...row, problem_type: "OCR" })).toBe(null);
    expect(reward.score(completion(said("C")), { id: "r", answer: "C" })).toBe(null);
  });
});

describe("summarise", () => {
  const score = (a: number | null, failed: boolean, total: number | null): Score => ({
    ...{ total, components: { a, b: 1 }, weighted: {} },
    failures: failed ? { a: "no" } : {},
  });

  test("has mean, spread and failures of each reward", () => {
    // 1, 2, 4: mean 7/3, variance (16/9 + 1/9 + 25/9) / 2 = 7/3.
    const rows = [score(1, false, 1), score(2, false, 2), score(4, false, 4)];
    const more = [...rows, score(null, true, null), score(null, false, 1)];
    const { components, total, unscored, completions } = summarise(more);
    expect(components["a"]).toMatchObject({ count: 3, failed: 1, failedShare: 0.2 });
    expect(components["a"]!.mean).toBeCloseTo(7 / 3, 14);
    expect(components["a"]!.std).toBeCloseTo(Math.sqrt(7 / 3), 14);
    expect(components["b"]).toEqual({
      count: 5,
      mean: 1,
      std: 0,
      level: true,
      failed: 0,
      failedShare: 0,
    });
    expect(total).toMatchObject({ count: 4, mean: 2 });
    expect([unscored, completions]).toEqual([1, 5]);
  });

  test("counts no failure that is none, whatever a reward is called", () => {
    const odd = score(1, false, 1);
    const named = { ...odd, components: { constructor: 1 } };
    expect(summarise([named]).components["constructor"]).toMatchObject({ count: 1, failed: 0 });
  });

  test("has no mean of nothing and no spread of one", () => {
    expect(summarise([])).toMatchObject({ completions: 0, components: {} });
  });
});

describe("a reward that fails for everyone", () => {
  test("ends the run at the third batch in a row, and one success begins anew", async () => {
    const broken = defineReward("broken", ({ text }) => {
      if (text === "fine") return 1;
      throw new Error("it cannot");
    });
    const scorer = new RewardScorer([{ reward: broken, weight: 1 }]);
    const batch = (...texts: string[]) =>
      scorer.scoreGroups([{ row: { id: "r", answer: "x" }, completions: texts.map(completion) }]);
    await batch("a", "b");
    await batch("a", "b");
    await batch("a", "fine");
    await batch("a", "b");
    await batch("a", "b");
    await expect(batch("a", "b")).rejects.toThrow(
      /Reward "broken" failed for all completions of 3 rollout batches in a row.*it cannot/,
    );
  });
});
