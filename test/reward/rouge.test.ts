import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { porterStem } from "../../src/text/porter.ts";
import { rougeReward, rougeScores } from "../../src/reward/rewards/rouge.ts";

interface Golden {
  stems: Record<string, string>;
  cases: { reference: string; hypothesis: string; scores: [number[], number[]] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../golden/reward/rouge.json", import.meta.url), "utf8"),
) as Golden;

test("stems are NLTK's", () => {
  const wrong = Object.entries(golden.stems).filter(([word, stem]) => porterStem(word) !== stem);
  expect(wrong.map(([word, stem]) => `${word}: ${porterStem(word)} is not ${stem}`)).toEqual([]);
  // An assumption of ROUGE when it passes over words.
  for (const [word, stem] of Object.entries(golden.stems)) {
    expect(word.startsWith(stem.slice(0, Math.max(1, stem.length - 3))), word).toBe(true);
    expect(word.length - stem.length).toBeLessThan(24);
  }
  expect(Object.keys(golden.stems).length).toBeGreaterThan(3900);
});

describe("ROUGE", () => {
  test("of 400 pairs of texts equals rouge_score, with stems and without", () => {
    for (const { reference, hypothesis, scores } of golden.cases) {
      [true, false].forEach((stem, at) => {
        const { rouge1, rouge2, rougeL } = rougeScores(reference, hypothesis, stem);
        const name = `${reference} / ${hypothesis} (${stem ? "stems" : "words"})`;
        [rouge1, rouge2, rougeL].forEach((value, kind) =>
          expect(value, name).toBeCloseTo(scores[at]![kind]!, 12),
        );
      });
    }
  });

  test("of one word against two, by hand", () => {
    // One of one said word is right, one of two right words is said: 2 * 1 * 0.5 / 1.5.
    expect(rougeScores("red ball", "red", false)).toEqual({
      rouge1: 2 / 3,
      rouge2: 0,
      rougeL: 2 / 3,
    });
  });

  test("is the mean of three unless a kind is named", () => {
    const row = { id: "r", answer: "a red ball rolls" };
    const completion = {
      ...{ text: "<answer>red ball</answer>", ids: [], finished: true, index: 0, draw: 0 },
    };
    const of = (kind: "1" | "2" | "L" | "mean") => rougeReward({ kind }).score(completion, row)!;
    expect([of("1"), of("2"), of("L")]).toEqual([2 / 3, 0.5, 2 / 3]);
    expect(of("mean")).toBeCloseTo((2 / 3 + 0.5 + 2 / 3) / 3, 15);
  });
});
