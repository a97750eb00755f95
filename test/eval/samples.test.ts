import { describe, expect, it } from "vitest";
import type { DataRow } from "../../src/data/dataset.ts";
import { combined, majority, passAt } from "../../src/eval/samples.ts";

const ROW: DataRow = {
  ...{ id: "r", answer: "B", options: ["red", "blue"], kind: "all", mediaNames: "" },
  conversation: [{ role: "user", content: "?" }],
};
const OPEN: DataRow = { ...ROW, options: [], answer: "12" };
const right = { overall: 1, format: 1 };
const wrong = { overall: 0, format: 1 };

describe("pass@k", () => {
  it("is the share of draws of k answers with one right, all of them listed", () => {
    for (const [n, c] of [
      [5, 0],
      [5, 2],
      [6, 1],
      [6, 6],
    ] as const) {
      for (let k = 1; k <= n; k++) {
        let draws = 0;
        let hits = 0;
        for (let mask = 0; mask < 1 << n; mask++) {
          const drawn = Array.from({ length: n }, (_, at) => at).filter((at) => mask & (1 << at));
          if (drawn.length !== k) continue;
          draws++;
          // The first c are right.
          if (drawn.some((at) => at < c)) hits++;
        }
        expect(passAt(n, c, k), `${c} of ${n}, k ${k}`).toBeCloseTo(hits / draws, 12);
      }
    }
  });
});

describe("maj@n", () => {
  it("is the score of what most say, the first of several with as many votes", () => {
    expect(majority(["A", "B", "The answer is B"], [wrong, right, right], ROW)).toBe(1);
    expect(majority(["A", "B"], [wrong, right], ROW)).toBe(0);
    expect(majority(["B", "A"], [right, wrong], ROW)).toBe(1);
  });

  it("gives no vote to what cannot be read", () => {
    expect(majority(["?", "?", "B"], [wrong, wrong, right], ROW)).toBe(1);
    expect(majority(["?", "?"], [wrong, wrong], ROW)).toBe(0);
  });

  it("compares words where there is no choice", () => {
    const texts = ["<answer>12</answer>", "<answer> 12 </answer>", "<answer>9</answer>"];
    expect(majority(texts, [right, right, wrong], OPEN)).toBe(1);
  });
});

it("the scores of several answers are means, with pass@k and maj@n beside them", () => {
  const texts = ["A", "B", "B", "A"];
  expect(combined([wrong, right, right, wrong], texts, ROW)).toEqual({
    ...{
      overall: 0.5,
      format: 1,
      "pass@1": 0.5,
      "pass@2": expect.closeTo(5 / 6, 12) as number,
      "pass@4": 1,
      "maj@4": 0,
    },
  });
  expect(combined([right], ["B"], ROW)).toBe(right);
});
