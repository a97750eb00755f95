import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAnswer } from "../../src/reward/answer/accuracy.ts";
import type { ParsedAnswer } from "../../src/reward/answer/answer.ts";
import { checkGold, goldAnswer } from "../../src/reward/answer/gold.ts";
import { parseAnswer } from "../../src/reward/answer/parse.ts";
import type { RewardRow } from "../../src/reward/reward.ts";

const COLOURS = ["red", "blue", "green", "white"];
const row = (answer: string, options: string[] | undefined = COLOURS): RewardRow => ({
  ...{ id: "r", answer },
  ...(options && { options }),
});
const letterOf = (answer: ParsedAnswer): string =>
  answer.kind === "unparsed" ? "-" : answer.letter;

/** Spellings of an answer and nothing else; the right one is B, blue. */
const BARE = [
  ...[
    "B",
    "b",
    "B.",
    "b)",
    "(B)",
    "[B]",
    " B\n",
    "**B**",
    "__B__",
    "*B*",
    "`B`",
    '"B"',
    "'B'",
    "B!",
  ],
  ...["B. blue", "(B) blue", "B: blue", "B) blue", "B blue", "B - blue", "B, blue", "**B.** blue"],
  ...["B.blue", "B:blue", "(b) Blue", "b. blue", "B. blue.", "B \u2014 blue", "B\uff0eblue"],
  ...["blue", "Blue", "BLUE", "blue.", "Blue!", " blue ", '"blue"', "**blue**", "(blue)"],
  ...["option B", "Option B", "option b", "Option (B)", "Choice B", "Option B: blue", "Answer: B"],
  ...["answer: blue", "The answer is B", "The correct answer is B.", "the answer is (B) blue"],
  ...["\\boxed{B}", "$\\boxed{\\text{B}}$", "\\boxed{blue}", "\\(B\\)", "$B$", "\\textbf{B}"],
  ...["<answer>B</answer>", "<answer>B. blue</answer>", "<b>B</b>"],
  // Full-width, in brackets of every kind, circled, squared, as an emoji.
  ...[
    "\uff22",
    "\uff42",
    "\uff08\uff22\uff09",
    "\uff08B\uff09",
    "\u300cB\u300d",
    "\u3010B\u3011",
    "\u300eB\u300f",
  ],
  ...[
    "\u24b7",
    "\u24d1",
    "\u249d",
    "\u{1f111}",
    "\u{1f131}",
    "\u{1f151}",
    "\u{1f171}\ufe0f",
    "B\u3002",
    "B\u3001blue",
  ],
  // Chinese: xuan B, B xuanxiang, xuanxiang B, daan B, daan shi B, zhengque daan wei B.
  ...["\u9009B", "B\u9009\u9879", "\u9009\u9879B", "\u7b54\u6848B", "\u7b54\u6848\u662fB\u3002"],
  ...[
    "\u6b63\u786e\u7b54\u6848\u4e3aB\u3002",
    "\u7b54\u6848\uff1aB",
    "\u9009 B",
    "<answer>\u9009\u9879B</answer>",
    "\u9078\u9805B",
    "\u7b54\u6848\u662f\u300cB\u300d",
  ],
  // Japanese: kotae wa B desu; Korean: jeongdabeun B imnida.
  ...[
    "\u7b54\u3048\u306fB\u3067\u3059",
    "\u6b63\u89e3\u306fB",
    "\u9078\u629e\u80a2B",
    "B\u3067\u3059",
  ],
  ...[
    "\uc815\ub2f5\uc740 B\uc785\ub2c8\ub2e4",
    "\ub2f5: B",
    "\uc815\ub2f5: (B)",
    "B\ubc88",
    "B\uc785\ub2c8\ub2e4.",
  ],
];

/** Completions in sentences: text, and the letter that it chooses or "-". */
const SENTENCES: [text: string, letter: string][] = [
  // Stated.
  ["I think the answer is B.", "B"],
  ["The answer is b", "B"],
  ["The answer is blue.", "B"],
  ["The answer is B because A is red and C is green.", "B"],
  ["The answer is B. Option A is wrong because the circle is not red.", "B"],
  ["The answer is A. Wait, actually the answer is C.", "C"],
  ["Final answer:\n\n**B**", "B"],
  ["### Answer: B", "B"],
  ["**Answer:** (B) blue", "B"],
  ["A shows red, C shows green. So the correct option is B.", "B"],
  ["Option A looks right, but option B is correct.", "B"],
  ["I would choose B over A.", "B"],
  ["I'll go with option D", "D"],
  ["Of A and C, C is the best choice.", "C"],
  ["First it is red, then blue. Therefore, the colour shown first is red.", "A"],
  ["A is red. B is blue. So B.", "B"],
  ["The answer is not A, it is B.", "B"],
  ["It's B.", "B"],
  ["It must be 'B'.", "B"],
  ["Based on the clip, (B).", "B"],
  ["The first colour is blue.", "B"],
  ["B is correct.", "B"],
  ["<think>A or C? It looks red.</think>The answer is B.", "B"],
  ["<think>\n</think>\n\n<answer>\nB\n</answer>", "B"],
  ["<answer>A</answer> no, <answer>B</answer>", "B"],
  ["So we get \\boxed{B}. Not \\(A\\).", "B"],
  // Chinese, Japanese, Korean.
  [
    "\u89c6\u9891\u4e2d\u7684\u989c\u8272\u662f\u84dd\u8272\uff0c\u6240\u4ee5\u7b54\u6848\u662fB\u3002",
    "B",
  ],
  ["\u56e0\u6b64\u9009B\u3002A\u9009\u9879\u4e0d\u6b63\u786e\u3002", "B"],
  ["A\u9009\u9879\u9519\u8bef\uff0cB\u9009\u9879\u6b63\u786e\u3002", "B"],
  ["\u4e0d\u662fA\uff0c\u662fB\u3002", "B"],
  ["\u6545\u9009B", "B"],
  ["\u6211\u8ba4\u4e3a\u5e94\u8be5\u9009\u62e9B\uff0c\u800c\u4e0d\u662fA\u3002", "B"],
  ["\u6b63\u78ba\u7b54\u6848\u662f\uff08B\uff09\u3002", "B"],
  ["\u3057\u305f\u304c\u3063\u3066\u3001\u7b54\u3048\u306fB\u3067\u3059\u3002", "B"],
  ["A\u3067\u306f\u306a\u304f\u3001B\u304c\u6b63\u89e3\u3067\u3059\u3002", "B"],
  ["\uc815\ub2f5\uc740 B\uc785\ub2c8\ub2e4. A\ub294 \uc544\ub2d9\ub2c8\ub2e4.", "B"],
  ["\ub530\ub77c\uc11c B\uac00 \uc815\ub2f5\uc785\ub2c8\ub2e4.", "B"],
  // False friends: letters of words, names, units, articles, contractions, scripts.
  ["", "-"],
  ["Bob and Dan are ABC fans", "-"],
  ["A shape moves to the left", "-"],
  ["I see a vitamin C pill", "-"],
  ["Plan B failed", "-"],
  ["Speaker A talks to speaker B", "-"],
  ["It plays a B-flat", "-"],
  ["D'accord", "-"],
  ["It is 25 \u00b0C", "-"],
  ["C++ and C# and C3", "-"],
  ["Mr. B. and the U.S.A. and Washington D.C.", "-"],
  ["bluebird", "-"],
  ["B\u578b\u8840", "-"],
  ["\u7ef4\u751f\u7d20C", "-"],
  ["C\u8bed\u8a00", "-"],
  ["T\u6064", "-"],
  // Denied.
  ["not B", "-"],
  ["The answer is not B", "-"],
  ["It isn't B.", "-"],
  ["B is not correct.", "-"],
  ["B is wrong", "-"],
  ["Neither A nor B", "-"],
  ["It is not blue", "-"],
  ["\u4e0d\u9009B", "-"],
  ["\u7b54\u6848\u4e0d\u662fB", "-"],
  ["B\u9009\u9879\u4e0d\u6b63\u786e", "-"],
  ["B\u3067\u306f\u3042\u308a\u307e\u305b\u3093", "-"],
  ["B\ub294 \uc544\ub2d9\ub2c8\ub2e4", "-"],
  ["A, not B", "A"],
  ["B rather than C", "B"],
  // Several.
  ["A or B", "-"],
  ["A and B", "-"],
  ["A/B", "-"],
  ["A, B", "-"],
  ["The answer is A or B.", "-"],
  ["The answer is A, B", "-"],
  ["red or blue", "-"],
  ["\u7b54\u6848\u662fA\u6216B", "-"],
  ["<answer>A and B</answer> C", "-"],
  ["Both A and B could be right", "-"],
  // Letters that are no option, and answers that contradict themselves.
  ["E", "-"],
  ["<answer>E</answer>", "-"],
  ["B. red", "-"],
  ["<answer>(A) blue</answer>", "-"],
  ["<answer>purple</answer>", "-"],
];

describe("an answer", () => {
  it.each(BARE)("spelled %j is B", (text) => {
    expect(letterOf(parseAnswer(text, row("B")))).toBe("B");
    expect(
      letterOf(parseAnswer(`<think>A, no C</think>\n<answer>${text}</answer>`, row("B"))),
    ).toBe("B");
    expect(goldAnswer(row(text))).toEqual({ kind: "option", letter: "B", words: "blue" });
    expect(checkAnswer(text, row(text)).correct).toBe(true);
  });

  it.each(SENTENCES)("in %j is %s", (text, letter) => {
    expect(letterOf(parseAnswer(text, row("B")))).toBe(letter);
  });

  it("says what it read and where", () => {
    const read = (text: string): unknown => {
      const answer = parseAnswer(text, row("B"));
      return answer.kind === "unparsed" ? answer.reason : [answer.kind, answer.words, text.slice(...answer.span)]; // prettier-ignore
    };
    expect(read("I take **B**")).toEqual(["letter", "blue", "B"]);
    expect(read("<think>C</think><answer>Green</answer>")).toEqual(["words", "green", "Green"]);
    expect(read("\uff22\uff0eblue")).toEqual(["both", "blue", "\uff22\uff0eblue"]);
    expect(read("\u{1f171}\ufe0f")).toEqual(["letter", "blue", "\u{1f171}".slice(0, 1)]);
    expect(read("E")).toBe("the letter is none of the options");
    expect(read("B. red")).toBe("letter and words differ");
    expect(read("not B")).toBe("options are only denied");
    expect(read("A or B")).toBe("several options are named");
    expect(read("well")).toBe("no option is named");
    expect(read("<answer> </answer>")).toBe("nothing is said");
  });

  it("minds options that hold letters, numbers and each other", () => {
    const letter = (text: string, options: string[]) =>
      letterOf(parseAnswer(text, row("A", options)));
    expect(letter("It shows vitamin B.", ["vitamin B", "vitamin A"])).toBe("A");
    expect(letter("Person B", ["Person A", "Person B"])).toBe("B");
    expect(letter("3", ["1", "2", "3"])).toBe("C");
    expect(letter("-3", ["3", "-3"])).toBe("B");
    expect(letter("A red car", ["red", "red car"])).toBe("B");
    expect(letter("the red car", ["red", "red car"])).toBe("B");
    expect(letter("No, there is none.", ["Yes", "No"])).toBe("B");
    expect(letter("I think B", ["a", "b", "c", "d", "e", "f", "g", "h", "i"])).toBe("B");
    expect(letter("\u84dd\u8272", ["\u7ea2\u8272", "\u84dd\u8272"])).toBe("B");
    expect(letter("\u662f\u84dd\u8272\u7684", ["\u7ea2\u8272", "\u84dd\u8272"])).toBe("B");
    expect(letter("B. cat", ["A. dog", "B. cat"])).toBe("B");
    expect(letter("c", ["A", "C", "E"])).toBe("C");
  });

  it("is found in whatever surrounds it", () => {
    const around = fc.constantFrom("", " ", "\n", "**", '"', "(", "\u300c", "\\(");
    const opening = fc.constantFrom(
      "",
      "The answer is ",
      "Answer: ",
      "\u7b54\u6848\u662f",
      "\uc815\ub2f5\uc740 ",
      "Therefore, ",
      "So it must be option ",
    );
    const thought = fc.constantFrom("", "<think>A? B? C?</think>", "<think>not D</think>\n");
    fc.assert(
      fc.property(
        thought,
        opening,
        around,
        fc.constantFrom("A", "B", "C", "D"),
        fc.boolean(),
        (before, cue, mark, letter, block) => {
          const close =
            new Map([
              ["(", ")"],
              ["\u300c", "\u300d"],
              ["\\(", "\\)"],
            ]).get(mark) ?? mark;
          const said = `${cue}${mark}${letter}${close}`;
          const text = `${before}${block ? `<answer>${said}</answer>` : said}`;
          const answer = parseAnswer(text, row("B"));
          expect(letterOf(answer), text).toBe(letter);
          if (answer.kind !== "unparsed") expect(text.slice(...answer.span)).toBe(letter);
        },
      ),
    );
  });

  it("is never read from text without options", () => {
    const words = fc.constantFrom(
      "the",
      "video",
      "bluebird",
      "ABC",
      "x",
      "7",
      "scared",
      "\u578b",
      "E",
      "-",
    );
    fc.assert(
      fc.property(fc.array(words), (parts) => {
        expect(letterOf(parseAnswer(parts.join(" "), row("B")))).toBe("-");
      }),
    );
  });

  it("is read from any text without an error", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.array(fc.string(), { maxLength: 30 }),
        (text, options) => {
          const answer = parseAnswer(text, row("x", options));
          if (answer.kind !== "unparsed") {
            expect(answer.span[0]).toBeGreaterThanOrEqual(0);
            expect(answer.span[1]).toBeLessThanOrEqual(text.length);
          }
        },
      ),
    );
  });
});

describe("the right answer of a row", () => {
  it.each([
    ["E", COLOURS, 'answer of row r is "E", which is none of its options A to D (A. red, B. blue'],
    ["0", COLOURS, "give it as answer_index, counted from 0"],
    ["purple", COLOURS, "none of its options"],
    ["B. red", COLOURS, "letter and words differ"],
    ["the man with a B flag", COLOURS, "none of its options"],
    ["A or B", COLOURS, "none of its options"],
    ["B,E", COLOURS, '"B,E"'],
    ["blue", ["blue", "blue"], "several options are named"],
  ])("%j of %j is refused", (answer, options, message) => {
    expect(() => goldAnswer(row(answer, options))).toThrow(message);
  });

  it("may be an index, a list, open, or none", () => {
    expect(goldAnswer({ ...row(""), answer_index: 2 })).toMatchObject({
      letter: "C",
      words: "green",
    });
    expect(goldAnswer({ ...row("C"), answer_index: 2 })).toMatchObject({ letter: "C" });
    expect(() => goldAnswer({ ...row("B"), answer_index: 2 })).toThrow("which is C");
    expect(() => goldAnswer({ ...row(""), answer_index: 4 })).toThrow("give 0 to 3");
    expect(goldAnswer(row("B, C"))).toEqual({ kind: "several", text: "B, C" });
    expect(goldAnswer({ id: "r", answer: "42" })).toEqual({ kind: "open", text: "42" });
    expect(goldAnswer({ id: "r", answer: "E" })).toMatchObject({ kind: "option", letter: "E" });
    expect(goldAnswer(row(""))).toEqual({ kind: "none" });
    // Case tells these apart.
    expect(goldAnswer(row("us", ["US", "us"]))).toMatchObject({ letter: "B" });
  });

  it("is checked for all rows, and all that are wrong are named", () => {
    const rows = [row("B"), { ...row("E"), id: "one" }, { ...row("0"), id: "two" }];
    expect(() => checkGold(rows, true)).toThrow(
      /2 of 3 rows have no usable answer.*row one.*row two/,
    );
    expect(() => checkGold([row("")], true)).toThrow("Row r has no answer");
    checkGold([row(""), row("C. green")], false);
  });
});

describe("a completion that cannot be parsed", () => {
  it("is wrong, with its reason, and no other rule is tried", () => {
    expect(checkAnswer("A or B", row("B"))).toEqual({
      correct: false,
      unparsed: "several options are named",
    });
    expect(checkAnswer("I see it", { id: "r", answer: "42" })).toEqual({
      correct: false,
      unparsed: "no number is named",
    });
    expect(checkAnswer("", { id: "r", answer: "a dog" })).toEqual({
      correct: false,
      unparsed: "nothing is said",
    });
    expect(checkAnswer("a dog", { id: "r", answer: "A dog." })).toEqual({
      correct: true,
      unparsed: undefined,
    });
    expect(checkAnswer("x", { id: "r", answer: "" })).toEqual({
      correct: null,
      unparsed: undefined,
    });
  });
});
