import { describe, expect, test } from "vitest";
import { exactAlnumReward } from "../../src/reward/rewards/exact-alnum.ts";
import { goldLetter, goldWords } from "../../src/reward/answer/gold.ts";
import { checkAnswer } from "../../src/reward/answer/accuracy.ts";
import { letterReward } from "../../src/reward/rewards/correct.ts";
import { optionLetterReward } from "../../src/reward/rewards/option-letter.ts";
import { optionTextReward } from "../../src/reward/rewards/option-text.ts";
import type { Completion, RewardRow } from "../../src/reward/reward.ts";
import { setF1Reward } from "../../src/reward/rewards/set-f1.ts";

function completion(text: string): Completion {
  return { text, ids: [], finished: true, index: 0, draw: 0 };
}

/** 1 for a right answer, 0 for a wrong one, null where there is none to compare with. */
function scored(text: string, of: RewardRow): number | null {
  const { correct } = checkAnswer(text, of);
  return correct === null ? null : Number(correct);
}

const row = (answer: string, options?: string[]): RewardRow => ({
  ...{ id: "r", answer },
  ...(options && { options }),
});
const LETTERED = ["A. dog", "B. cat"];
const THREE = ["dog", "cat", "cow"];

describe("the right option", () => {
  test.each([
    // HumanOmniV2 writes a block, AVQA the words, with or without the letter.
    ["B", LETTERED, "B", ["B. cat", "cat"]],
    ["<answer>B</answer>", ["dog", "cat"], "B", ["cat", "cat"]],
    [" b.\n", ["dog", "cat"], "B", ["cat", "cat"]],
    ["(B)", LETTERED, "B", ["B. cat", "cat"]],
    ["B. cat", LETTERED, "B", ["B. cat", "cat"]],
    ["cat", LETTERED, "B", ["B. cat", "cat"]],
    ["cat", ["dog", "cat"], "B", ["cat", "cat"]],
    ["B,A", LETTERED, undefined, ["B,A"]],
    ["D", undefined, "D", ["D"]],
    ["42", undefined, undefined, ["42"]],
    // A letter is a letter before it is an option's words; the words reward takes the words.
    ["C", ["A", "C", "E"], "C", ["C", "C"]],
    // An initial is no letter where another option bears none.
    ["B", ["The Beatles", "B. B. King"], "B", ["B. B. King", "B. B. King"]],
  ])("%j of %j", (answer, options, letter, words) => {
    expect(goldLetter(row(answer, options))).toBe(letter);
    expect(goldWords(row(answer, options))).toEqual(words);
  });

  test("that is none fails where a letter is trained on", () => {
    const said = completion("<think>x</think><answer>B</answer>");
    expect(letterReward.score(said, row("<answer>B</answer>"))).toBe(1);
    expect(() => letterReward.score(said, row("42"))).toThrow(
      'The answer of row r is "42", which is none of its options A to D.',
    );
  });
});

describe("accuracy", () => {
  test.each([
    ["<answer>B. cat</answer>", "cat", LETTERED, 1],
    ["It is a cat.", "B", LETTERED, 1],
    ["<answer>B</answer>", "B. cat", LETTERED, 1],
    ["<answer>A</answer>", "cat", LETTERED, 0],
    ["A red car", "B", ["red", "red car"], 1],
    ["A red one", "A", ["red", "red car"], 1],
    // Answers that are no options: numbers, sets and words, wherever the completion ends with them.
    ["<answer>42</answer>", "42", undefined, 1],
    ["<think>7</think>I count 41, no, 42.", "42", undefined, 1],
    ["It is 42.0", "42", undefined, 1],
    ["<answer>42</answer> of 50", "42", undefined, 1],
    ["42 or 43", "42", undefined, 0],
    ["1,000", "1000", undefined, 1],
    ["50%", "0.5", undefined, 1],
    ["-3", "3", undefined, 0],
    ["forty-two", "42", undefined, 0],
    ["<answer>C, B</answer>", "B,C", THREE, 1],
    ["The options are B and C.", "B,C", undefined, 1],
    ["<answer>A, B, C</answer>", "B,C", THREE, 0],
    ["<answer>B</answer>", "B,C", undefined, 0],
    ["<answer>happy, sad</answer>", "sad, happy", undefined, 1],
    ["<answer>Yes.</answer>", "yes", undefined, 1],
    ["No, not yes but no", "yes", undefined, 0],
    ["He says: the quick brown FOX!", "The quick brown fox", undefined, 1],
    ["the fox", "the quick fox", undefined, 0],
    ["<answer></answer>", "42", undefined, 0],
    ["", "yes", undefined, 0],
    ["x", "?", undefined, 0],
  ])("of %j for %j", (text, answer, options, score) => {
    expect(scored(text, row(answer, options))).toBe(score);
  });

  test("of a choice of several is of the whole set, also where one option is right", () => {
    const one = { ...row("C", THREE), problem_type: "emer_ov_mc" };
    const score = scored;
    expect(score("<answer>C</answer>", one)).toBe(1);
    expect(score("<answer>B,C</answer>", one)).toBe(0);
    expect(score("<answer>C, C</answer>", one)).toBe(1);
    expect(score("<answer>C,B</answer>", { ...one, answer: "B,C" })).toBe(1);
    expect(score("It is C.", one)).toBe(1);
  });

  test.each(["x", " ", "1", "1,", "a,", "<", "1e"])("reads a megabyte of %j at once", (unit) => {
    const text = unit.repeat((1 << 20) / unit.length);
    for (const answer of ["42", "B,C", "the words"]) {
      const started = performance.now();
      expect(scored(text, row(answer))).toBe(0);
      expect(performance.now() - started).toBeLessThan(1000);
    }
  });
});

describe("an empty right answer", () => {
  // The sources pay every completion without a tag then: both sides are empty.
  test.each([optionLetterReward, optionTextReward, setF1Reward(), exactAlnumReward()])(
    "fails: $name",
    (reward) => {
      const { name } = reward;
      const score = (said: Completion, of: RewardRow) => reward.score(said, of);
      for (const answer of ["", " ", "<answer></answer>"]) {
        expect(() => score(completion("<answer></answer>"), row(answer))).toThrow(
          /The answer of row r is ".*": (nothing|no letter or number) to compare/,
        );
      }
      const punctuation = () => score(completion("<answer>!</answer>"), row("?"));
      if (name === "exact-alnum") expect(punctuation).toThrow("no letter or number to compare");
      else expect(punctuation()).toBe(0);
    },
  );
});
