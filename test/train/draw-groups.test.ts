import { describe, expect, it } from "vitest";
import { addUp, type Score } from "../../src/reward/reward.ts";
import { isLevel } from "../../src/train/draw-groups.ts";

const PARTS = [
  { reward: { name: "a" }, weight: 0.1 },
  { reward: { name: "b" }, weight: 0.2 },
  { reward: { name: "c" }, weight: 0.3 },
];

function score(...values: (number | null)[]): Score {
  return addUp(
    PARTS,
    values.map((value) => ({ value })),
  );
}

describe("a group", () => {
  it("is level where weighted sums differ by rounding alone", () => {
    const scores = [score(1, 1, 0), score(0, 0, 1)];
    expect(scores[0]!.total).not.toBe(scores[1]!.total);
    expect(isLevel({ scores }, false)).toBe(true);
    // Each reward by itself differs, which is what gdpo learns from.
    expect(isLevel({ scores }, true)).toBe(false);
  });

  it("is level without rewards, and not where rewards differ", () => {
    expect(isLevel({ scores: [score(null, null, null), score(null, null, null)] }, false)).toBe(
      true,
    );
    expect(isLevel({ scores: [score(1, 0, 0), score(0, 1, 0)] }, false)).toBe(false);
    expect(isLevel({ scores: [score(1, 0, 0), score(1, null, 0)] }, true)).toBe(true);
  });
});
