import { describe, expect, test } from "vitest";
import { formatReward } from "../../src/reward/rewards/format.ts";
import { checkAnswer } from "../../src/reward/answer/accuracy.ts";
import { RewardScorer } from "../../src/reward/scorer.ts";
import { parseAnswer } from "../../src/reward/answer/parse.ts";
import { letterReward } from "../../src/reward/rewards/correct.ts";
import { randomReward } from "../../src/reward/rewards/random.ts";
import { softOverlongReward } from "../../src/reward/rewards/soft-overlong.ts";
import { defineReward, type Completion, type RewardRow } from "../../src/reward/reward.ts";

/** The right answer is C, white. */
const ROW: RewardRow = { id: "row", answer: "C", options: ["red", "blue", "white", "green"] };

function completion(text: string, finished = true): Completion {
  return { text, ids: [], finished, index: 0, draw: 0 };
}

/** The letter of the option that a completion chooses. */
function letterRead(text: string, row: RewardRow): string | undefined {
  const answer = parseAnswer(text, row);
  return answer.kind === "unparsed" ? undefined : answer.letter;
}

/** The scores of a completion: format, right letter in the format, option chosen leniently. */
type Case = [text: string, format: 0 | 1, correct: 0 | 1, chosen: string | undefined];

const T = "<think> third white</think>";
const MB = 1 << 20;

const WELL_FORMED: Case[] = [
  [`${T}<answer>C</answer>`, 1, 1, "C"],
  [`${T}<answer>A</answer>`, 1, 0, "A"],
  [`${T}<answer>B</answer>`, 1, 0, "B"],
  [`${T}<answer>D</answer>`, 1, 0, "D"],
  ["<think>x</think><answer>C</answer>", 1, 1, "C"],
  ["<think> hiss third white</think><answer>C</answer>", 1, 1, "C"],
  ["<think>\nlong\n\nthought\n</think><answer>C</answer>", 1, 1, "C"],
  ["<think> the answer is D</think><answer>C</answer>", 1, 1, "C"],
  ["<think> 1 < 2 > 0 </think><answer>C</answer>", 1, 1, "C"],
  ["<think> <b>bold</b></think><answer>C</answer>", 1, 1, "C"],
  ["<think> thinking aloud, answering</think><answer>C</answer>", 1, 1, "C"],
  [`<think>${"x".repeat(MB)}</think><answer>C</answer>`, 1, 1, "C"],
];

const BROKEN_TAGS: Case[] = [
  ["", 0, 0, undefined],
  [" ", 0, 0, undefined],
  ["\n\n", 0, 0, undefined],
  ["C", 0, 0, "C"],
  [`${T}C`, 0, 0, "C"],
  [`${T}<answer>C`, 0, 0, "C"],
  [`${T}C</answer>`, 0, 0, "C"],
  [`${T}</answer>C<answer>`, 0, 0, "C"],
  [`${T}<answer>C<answer>`, 0, 0, "C"],
  [`${T}</answer>C</answer>`, 0, 0, "C"],
  ["<answer>C</answer>", 0, 0, "C"],
  ["third white</think><answer>C</answer>", 0, 0, "C"],
  ["<think> third white<answer>C</answer>", 0, 0, "C"],
  ["<think> third white</answer><answer>C</answer>", 0, 0, "C"],
  ["</think> third white<think><answer>C</answer>", 0, 0, "C"],
  [`<answer>C</answer>${T}`, 0, 0, "C"],
  ["<think></think><answer>C</answer>", 0, 0, "C"],
  ["<think> </think><answer>C</answer>", 0, 0, "C"],
  ["<think>\n\t</think><answer>C</answer>", 0, 0, "C"],
  [`${T}<answer></answer>`, 0, 0, undefined],
  [`${T}<answer> </answer>`, 0, 0, undefined],
  [`${T}<answer>`, 0, 0, undefined],
  ["<think>x</think><answer></answer>", 0, 0, undefined],
  ["<think>x</think><answer>", 0, 0, undefined],
  ["<think>x</think></answer>", 0, 0, undefined],
  ["<think>x", 0, 0, undefined],
  ["<think>", 0, 0, undefined],
  ["</answer>", 0, 0, undefined],
  ["<think></think><answer></answer>", 0, 0, undefined],
];

const DUPLICATE_TAGS: Case[] = [
  [`${T}${T}<answer>C</answer>`, 0, 0, "C"],
  [`<think>${T}<answer>C</answer>`, 0, 0, "C"],
  [`${T}</think><answer>C</answer>`, 0, 0, "C"],
  [`<think>${T}</think><answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer><answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer></answer>`, 0, 0, "C"],
  [`${T}<answer><answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer><answer>C</answer></answer>`, 0, 0, "C"],
  [`${T}<answer>A</answer><answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer><answer>A</answer>`, 0, 0, "A"],
  [`${T}<answer>A</answer><answer>B</answer><answer>C</answer><answer>D</answer>`, 0, 0, "D"],
  ["<think> <answer>C</answer></think><answer>A</answer>", 0, 0, "A"],
  ["<think> <answer></think><answer>C</answer>", 0, 0, "C"],
  ["<think> </answer></think><answer>C</answer>", 0, 0, "C"],
  ["<think> <answer>C</answer></think>", 0, 0, "C"],
  [`${T}<answer>${T}</answer>`, 0, 0, undefined],
  [`${T}<answer><think>C</think></answer>`, 0, 0, undefined],
  [`${T}<answer>C</answer>`.repeat(2), 0, 0, "C"],
  ["<think> <THINK> x</think><answer>C</answer>", 0, 0, "C"],
  ["<think> <Answer>D</Answer></think><answer>C</answer>", 0, 0, "C"],
];

const AROUND: Case[] = [
  [` ${T}<answer>C</answer>`, 0, 0, "C"],
  [`\n${T}<answer>C</answer>`, 0, 0, "C"],
  [`Sure! ${T}<answer>C</answer>`, 0, 0, "C"],
  [`${T} <answer>C</answer>`, 1, 1, "C"],
  [`${T}\n<answer>C</answer>`, 1, 1, "C"],
  [`${T}so<answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer> `, 0, 0, "C"],
  [`${T}<answer>C</answer>\n`, 0, 0, "C"],
  [`${T}<answer>C</answer>.`, 0, 0, "C"],
  [`${T}<answer>C</answer>D`, 0, 0, "C"],
  [`${T}<answer>C</answer> I mean D`, 0, 0, "C"],
  [`${T}D<answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer><|im_end|>`, 0, 0, "C"],
  [`${T}<|im_end|><answer>C</answer>`, 0, 0, "C"],
  ["<think> third<|im_start|> white</think><answer>C</answer>", 0, 0, "C"],
  ["<think> <|VIDEO|></think><answer>C</answer>", 0, 0, "C"],
  [`<|im_start|>${T}<answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C<|endoftext|></answer>`, 0, 0, "C"],
  [`\u200b${T}<answer>C</answer>`, 0, 0, "C"],
  [`\ufeff${T}<answer>C</answer>`, 0, 0, "C"],
  [`${T}<answer>C</answer>\u0000`, 0, 0, "C"],
];

const LETTER_FORMS: Case[] = [
  [`${T}<answer>c</answer>`, 0, 0, "C"],
  [`${T}<answer> C</answer>`, 0, 0, "C"],
  [`${T}<answer>C </answer>`, 0, 0, "C"],
  [`${T}<answer>\nC\n</answer>`, 0, 0, "C"],
  [`${T}<answer>C.</answer>`, 0, 0, "C"],
  [`${T}<answer>(C)</answer>`, 0, 0, "C"],
  [`${T}<answer>[c]</answer>`, 0, 0, "C"],
  [`${T}<answer>"C"</answer>`, 0, 0, "C"],
  [`${T}<answer>**C**</answer>`, 0, 0, "C"],
  [`${T}<answer>C: white</answer>`, 0, 0, "C"],
  [`${T}<answer>C white</answer>`, 0, 0, "C"],
  [`${T}<answer>Option C</answer>`, 0, 0, "C"],
  [`${T}<answer>white</answer>`, 0, 0, "C"],
  [`${T}<answer>White.</answer>`, 0, 0, "C"],
  [`${T}<answer>the white one</answer>`, 0, 0, "C"],
  [`${T}<answer>CC</answer>`, 0, 0, undefined],
  [`${T}<answer>E</answer>`, 0, 0, undefined],
  [`${T}<answer>e</answer>`, 0, 0, undefined],
  [`${T}<answer>3</answer>`, 0, 0, undefined],
  [`${T}<answer>ABCD</answer>`, 0, 0, undefined],
  [`${T}<answer>A B C D</answer>`, 0, 0, undefined],
  [`${T}<answer>A or C</answer>`, 0, 0, undefined],
  [`${T}<answer>C, not D</answer>`, 0, 0, "C"],
  [`${T}<answer>A,B,C</answer>`, 0, 0, undefined],
  [`${T}<answer>red blue white green</answer>`, 0, 0, undefined],
  [`${T}<answer>maybe</answer>`, 0, 0, undefined],
];

const LOOK_ALIKES: Case[] = [
  [`${T}<answer>\u0421</answer>`, 0, 0, undefined],
  [`${T}<answer>\uff23</answer>`, 0, 0, "C"],
  [`${T}<answer>\u216d</answer>`, 0, 0, undefined],
  [`${T}<answer>\u{1d402}</answer>`, 0, 0, undefined],
  [`${T}<answer>\u00a9</answer>`, 0, 0, undefined],
  [`${T}<answer>C\u0327</answer>`, 0, 0, "C"],
  [`${T}<answer>\u00c7</answer>`, 0, 0, undefined],
  [`${T}<answer>C\u200b</answer>`, 0, 0, "C"],
  ["\uff1cthink\uff1e x\uff1c/think\uff1e<answer>C</answer>", 0, 0, "C"],
  ["<Think> x</Think><Answer>C</Answer>", 0, 0, "C"],
  ["<THINK> x</THINK><ANSWER>C</ANSWER>", 0, 0, "C"],
  ["<think > x</think ><answer >C</answer >", 0, 0, "C"],
  ["< think> x</ think>< answer>C</ answer>", 0, 0, "C"],
  ["<thin\u043a> x</thin\u043a><answer>C</answer>", 0, 0, "C"],
  ["&lt;think&gt; x&lt;/think&gt;&lt;answer&gt;C&lt;/answer&gt;", 0, 0, "C"],
  ["[think] x[/think][answer]C[/answer]", 0, 0, "C"],
  ["<think/> x<answer>C</answer>", 0, 0, "C"],
];

const FREE_TEXT: Case[] = [
  ["The answer is C.", 0, 0, "C"],
  ["The answer is (C)", 0, 0, "C"],
  ["the answer is c", 0, 0, "C"],
  ["Answer: D", 0, 0, "D"],
  ["A? No. C!", 0, 0, "C"],
  ["C, but I am not sure. D", 0, 0, "D"],
  ["white", 0, 0, "C"],
  ["WHITE", 0, 0, "C"],
  ["It is white, not green", 0, 0, "C"],
  ["whitewash", 0, 0, undefined],
  ["offwhite", 0, 0, undefined],
  ["off-white", 0, 0, "C"],
  ["A shape that is white", 0, 0, "C"],
  ["A red", 0, 0, "A"],
  ["A blue", 0, 0, "B"],
  ["D'accord, white", 0, 0, "C"],
  ["B-flat, white", 0, 0, "C"],
  ["DC", 0, 0, undefined],
  ["C3", 0, 0, undefined],
  ["I saw a bus", 0, 0, undefined],
  ["0.8", 0, 0, undefined],
  ["\\boxed{C}", 0, 0, "C"],
  ["c", 0, 0, "C"],
  ["(d)", 0, 0, "D"],
];

const LARGE: Case[] = [
  ["x".repeat(MB), 0, 0, undefined],
  [" ".repeat(MB), 0, 0, undefined],
  ["<".repeat(MB), 0, 0, undefined],
  ["<think>".repeat(MB / 8), 0, 0, undefined],
  ["</think>".repeat(MB / 8), 0, 0, undefined],
  ["<answer>".repeat(MB / 8), 0, 0, undefined],
  [`${T}<answer>C</answer>`.repeat(20000), 0, 0, "C"],
  [`${T}<answer>${"C".repeat(MB)}</answer>`, 0, 0, undefined],
  [`${T}<answer>${"C ".repeat(MB / 2)}</answer>`, 0, 0, "C"],
  ["A ".repeat(MB / 2), 0, 0, "A"],
  ["white".repeat(MB / 8), 0, 0, undefined],
  ["white ".repeat(MB / 8), 0, 0, "C"],
  [`${"(".repeat(MB)}C`, 0, 0, "C"],
  ["C'".repeat(MB / 2), 0, 0, undefined],
];

const TABLE: Record<string, Case[]> = {
  "well-formed": WELL_FORMED,
  "with broken tags": BROKEN_TAGS,
  "with duplicate or nested tags": DUPLICATE_TAGS,
  "with something around the pattern": AROUND,
  "with other forms of the letter": LETTER_FORMS,
  "with look-alikes": LOOK_ALIKES,
  "in free text": FREE_TEXT,
  "of a megabyte": LARGE,
};

function short(text: string): string {
  return text.length > 70 ? `${JSON.stringify(text.slice(0, 70))} ...` : JSON.stringify(text);
}

describe.each(Object.entries(TABLE))("completions %s", (_, cases) => {
  test.each(cases.map((row) => [short(row[0]), row] as const))("%s", (_name, row) => {
    const [text, format, correct, letter] = row;
    const started = performance.now();
    expect(formatReward.score(completion(text), ROW)).toBe(format);
    expect(letterReward.score(completion(text), ROW)).toBe(correct);
    expect(letterRead(text, ROW)).toBe(letter);
    expect(checkAnswer(text, ROW).correct).toBe(letter === "C");
    // Cut off at the limit it has neither format nor reward; accuracy does not depend on it.
    expect(formatReward.score(completion(text, false), ROW)).toBe(0);
    expect(letterReward.score(completion(text, false), ROW)).toBe(0);
    // Linear time: a quadratic search of a megabyte takes minutes.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

test("the table is long enough to be one", () => {
  expect(Object.values(TABLE).flat().length).toBeGreaterThan(120);
});

describe("rows with other options", () => {
  test("allow the letters that they have", () => {
    const two: RewardRow = { id: "two", answer: "B", options: ["yes", "no"] };
    const six: RewardRow = { id: "six", answer: "F", options: ["a", "b", "c", "d", "e", "f"] };
    expect(formatReward.score(completion(`${T}<answer>C</answer>`), two)).toBe(0);
    expect(letterReward.score(completion(`${T}<answer>B</answer>`), two)).toBe(1);
    expect(letterReward.score(completion(`${T}<answer>F</answer>`), six)).toBe(1);
    expect(letterRead("No.", two)).toBe("B");
    expect(letterRead("F", two)).toBe(undefined);
  });

  test("prefer the longer of two options that end together", () => {
    const row: RewardRow = { id: "horns", answer: "B", options: ["horn", "french horn"] };
    expect(letterRead("a french horn", row)).toBe("B");
    expect(letterRead("a horn", row)).toBe("A");
  });

  test("choose nothing where there is nothing to choose", () => {
    expect(letterRead("A", { id: "none", answer: "A", options: [] })).toBe(undefined);
  });
});

describe("a weighted sum", () => {
  const parts = [
    { reward: formatReward, weight: 0.2 },
    { reward: letterReward, weight: 0.8 },
  ];

  test("adds weighted parts and keeps each of them", async () => {
    const scorer = new RewardScorer(parts);
    expect(await scorer.score(completion(`${T}<answer>C</answer>`), ROW)).toEqual({
      total: 1,
      components: { format: 1, correct: 1 },
      weighted: { format: 0.2, correct: 0.8 },
      failures: {},
    });
    expect(await scorer.score(completion(`${T}<answer>A</answer>`), ROW)).toEqual({
      total: 0.2,
      components: { format: 1, correct: 0 },
      weighted: { format: 0.2, correct: 0 },
      failures: {},
    });
    expect(await scorer.score(completion("C"), ROW)).toEqual({
      total: 0,
      components: { format: 0, correct: 0 },
      weighted: { format: 0, correct: 0 },
      failures: {},
    });
  });

  test("leaves a reward that does not apply out of the sum, and a row that none applies to", async () => {
    const never = defineReward("never", () => null);
    const scorer = new RewardScorer([...parts, { reward: never, weight: 5 }]);
    const { total, components } = await scorer.score(completion(`${T}<answer>C</answer>`), ROW);
    expect(total).toBe(1);
    expect(components).toEqual({ format: 1, correct: 1, never: null });
    const alone = new RewardScorer([{ reward: never, weight: 1 }]);
    expect((await alone.score(completion("C"), ROW)).total).toBe(null);
  });

  test("has no sum where numbers overflow", async () => {
    const huge = defineReward("huge", () => 1e308);
    const scorer = new RewardScorer([
      { reward: formatReward, weight: 1 },
      { reward: huge, weight: 2 },
    ]);
    expect(await scorer.score(completion(""), ROW)).toMatchObject({
      total: null,
      components: { format: 0, huge: 1e308 },
      failures: { huge: "1e+308 with weight 2 makes the sum Infinity." },
    });
  });

  test("refuses weights and names that make no sense", () => {
    expect(() => new RewardScorer([])).toThrow("There is no reward");
    expect(() => new RewardScorer([{ reward: formatReward, weight: 0 }])).toThrow("weight 0");
    expect(() => new RewardScorer([{ reward: formatReward, weight: NaN }])).toThrow("weight NaN");
    expect(() => new RewardScorer([...parts, parts[0]!])).toThrow('"format" is listed twice');
    expect(() => defineReward("My reward", () => 1)).toThrow('"My reward"');
  });

  test("names reward, completion and row when a reward gives no number", () => {
    const broken = defineReward("broken", () => NaN);
    expect(() => broken.score(completion("C"), ROW)).toThrow(
      'Reward "broken" gave NaN for completion 0 of row row',
    );
  });
});

describe("softOverlongReward", () => {
  const reward = softOverlongReward({ max_completion_length: 10, soft_punish_cache: 4 });
  const of = (length: number) =>
    reward.score(
      { text: "", ids: Array<number>(length).fill(1), finished: true, index: 0, draw: 0 },
      { id: "x", answer: "A" },
    );

  test("is TRL's get_soft_overlong_punishment", () => {
    // The penalties of TRL 1.16 for max 10, cache 4 and these lengths.
    expect([5, 6, 7, 8, 9, 10, 11].map(of)).toEqual([0, 0, -0.25, -0.5, -0.75, -1, -1]);
  });

  test("a cache longer than the limit is refused", () => {
    expect(() => softOverlongReward({ max_completion_length: 4, soft_punish_cache: 10 })).toThrow(
      /soft_punish_cache 10 .* max_completion_length 4/,
    );
  });
});

describe("randomReward", () => {
  const score = (seed: number, id: string, draw: number, index: number): number =>
    randomReward(seed).score(
      { text: "", ids: [], finished: true, index, draw },
      { id, answer: "" },
    )!;

  test("depends on seed, row, draw and place, and on nothing else", () => {
    expect(score(1, "a", 0, 0)).toBe(score(1, "a", 0, 0));
    const keys = Array.from({ length: 64 }, (_, at) => at);
    for (const other of [
      (at: number) => score(2, "a", 0, at),
      (at: number) => score(1, "b", 0, at),
      (at: number) => score(1, "a", 1, at),
    ]) {
      expect(keys.map(other)).not.toEqual(keys.map((at) => score(1, "a", 0, at)));
    }
  });

  test("is a fair coin", () => {
    let heads = 0;
    for (let row = 0; row < 250; row++) {
      for (let index = 0; index < 8; index++) heads += score(7, `row-${row}`, row % 3, index);
    }
    expect(Math.abs(heads - 1000)).toBeLessThan(4 * Math.sqrt(500));
  });
});
