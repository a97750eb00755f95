import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  commonestPiece,
  degenerationOf,
  maskedBy,
  longestLoop,
  phraseLength,
  repeatedGrams,
} from "../../src/core/degenerate.ts";
import { Random } from "../../src/core/random.ts";

/** Words and marks numbered as they come: what a tokenizer does, as far as repetition goes. */
function numbered(text: string): number[] {
  const known = new Map<string, number>();
  return (text.match(/\s*\w+|\s*[^\w\s]/g) ?? []).map((word) => {
    if (!known.has(word)) known.set(word, known.size);
    return known.get(word)!;
  });
}
const judge = (text: string) => degenerationOf(text, numbered(text));

const SENSE = [
  "B",
  "<think> chirp third purple</think><answer>A</answer>",
  "<think>The man in the red coat laughs while the woman looks away, and the voice behind the " +
    "camera says that it is late. He is amused, she is not. Option C names both feelings.</think>" +
    "<answer>C</answer>",
  "Let me think. The first sound is a bell, the second sound is a bell, the third sound is a dog, " +
    "and the fourth sound is a bell. So three of the four sounds are bells.",
  "<context>A dog barks twice. A dog barks again. Then a car passes.</context><think>The dog barks " +
    "three times in total, before the car. 1, 2, 3.</think><answer>3</answer>",
  "\u89c6\u9891\u4e2d\u7684\u7537\u4eba\u5728\u7b11\uff0c\u6240\u4ee5\u7b54\u6848\u662f B\u3002The answer is B.",
  "A. yes\nB. no\nC. yes\nD. no",
  "No no no no, that cannot be: the light was green when the whistle blew.",
];

const GARBAGE = [
  ["system".repeat(64), "repetition"],
  [" system".repeat(16), "repetition"],
  ["<|im_start|>".repeat(8), "repetition"],
  [
    Array.from({ length: 60 }, (_, i) => (i % 7 === 3 ? "system\u0438\u0437" : "system")).join(""),
    "repetition",
  ],
  ["the cat sat on the mat and ".repeat(12), "repetition"],
  ["I think. I think that. ".repeat(20), "repetition"],
  ["ab \ufffd\ufffd c \ufffd\u0003 \ufffd d", "garbage"],
  [
    "parab\u0435\u043d\u0438\u0435 \u7684\u4e86 \u0e01\u0e23\u0e38\u0e07 laq \u05e9\u05dc",
    "garbage",
  ],
] as const;

describe("degenerate completions", () => {
  it.each(SENSE)("leave %s alone", (text) => expect(judge(text)).toBeUndefined());

  it.each(GARBAGE)("find %s", (text, kind) => expect(judge(text)?.kind).toBe(kind));

  it("find a loop in the ids alone, and in the text alone", () => {
    expect(degenerationOf("", [7, 7, 7, 7, 7, 7, 7, 7])?.reason).toBe(
      "one token makes 100 % of it",
    );
    expect(degenerationOf("system".repeat(9), [])?.reason).toBe(
      "a piece of 6 characters 9 times in a row",
    );
  });

  // Source B: the token "system" over and over, with stray fragments of other scripts between.
  const strays = [
    " the",
    "\u7684",
    "\u0438\u0437",
    "laq",
    "(",
    "42",
    "\u3067\u3059",
    "\n",
    "]]",
    "nih",
  ];
  const words: [what: string, forms: string[]][] = [
    ["one token", ["system"]],
    ["a word in several cases and spaces", ["system", " system", "System", "\nsystem"]],
    ["a few words in any order", ["system", "assistant", "user"]],
  ];
  it.each(
    words
      .flatMap(([what, forms]) =>
        [1, 0.9, 0.75].map((share) => ({
          what,
          forms,
          share,
          count: forms.length === 3 ? 96 : 24,
        })),
      )
      .filter(({ forms, share }) => forms.length !== 3 || share > 0.75),
  )("find $what at a share of $share", ({ forms, share, count }) => {
    const random = new Random(11, "data", 100 * share);
    for (let turn = 0; turn < 50; turn++) {
      const said = Array.from({ length: count }, () => {
        const list = random.uniform() < share ? forms : strays;
        const at = random.integer(list.length);
        return { id: list === forms ? at : 100 + at, text: list[at]! };
      });
      const text = said.map((one) => one.text).join("");
      const found = degenerationOf(
        text,
        said.map(({ id }) => id),
      );
      expect(found, text).toBeDefined();
      if (share > 0.75) expect(found!.kind, text).toBe("repetition");
    }
  });

  it("leave the project's own prose alone, in pieces of a completion's length", () => {
    const page = readFileSync(new URL("../../docs/architecture.md", import.meta.url), "utf8");
    const prose = page.split("\n").filter((line) => !line.startsWith("|") && line.length > 120);
    expect(prose.length).toBeGreaterThan(10);
    for (const line of [...prose, prose.join("\n").slice(0, 4000)]) {
      expect(judge(line), line.slice(0, 80)).toBeUndefined();
    }
  });

  it("leave a real run's completions alone", () => {
    const file = new URL("../golden/observe/tiny-rollouts.jsonl", import.meta.url);
    const rows = readFileSync(file, "utf8").trim().split("\n");
    for (const row of rows) {
      const { text, ids } = JSON.parse(row) as { text: string; ids: number[] };
      expect(degenerationOf(text, ids), text).toBeUndefined();
    }
  });

  it("measure what their names say", () => {
    expect(longestLoop([9, 1, 2, 1, 2, 1, 2, 1, 2, 8])).toEqual({ period: 2, turns: 4, length: 8 });
    expect(longestLoop([1, 2, 3, 1, 2, 3])).toEqual({ period: 0, turns: 0, length: 0 });
    expect(repeatedGrams([1, 2, 3, 4, 1, 2, 3, 4], 4)).toBeCloseTo(0.2);
    expect(repeatedGrams([1, 2], 4)).toBe(0);
    const loop = "System 42 system\n SYSTEM system, the system of systems";
    expect(commonestPiece(loop)).toEqual({ piece: "system", times: 6, share: 36 / 45 });
    expect(commonestPiece("nonononononono").times).toBe(0);
    expect(commonestPiece("nono".repeat(6))).toEqual({ piece: "nono", times: 6, share: 1 });
    expect(phraseLength([1, 2, 3, 4, 5])).toBe(1);
    // One phrase each for 1 2 3, then one that overlaps itself to the end.
    expect(phraseLength(Array.from({ length: 100 }, (_, i) => i % 3))).toBe(25);
  });
});

describe("masks", () => {
  const completions = [
    { text: "A", ids: [1, 2], finished: true },
    { text: "system".repeat(20), ids: Array<number>(20).fill(5), finished: false },
    { text: "the answer is", ids: [1, 2, 3], finished: false },
    { text: "\ufffd\ufffd\ufffd a", ids: [1, 2, 3], finished: true },
  ];
  const rules = (truncation: string, repetition: string, garbage: string) => ({
    truncation: { action: truncation },
    repetition: { action: repetition },
    garbage: { action: garbage },
  });

  it("take out what the rules that mask find, and nothing else", () => {
    const mask = (...actions: Parameters<typeof rules>) =>
      maskedBy(completions, rules(...actions)).map(Number);
    expect(mask("warn", "warn", "stop")).toEqual([0, 0, 0, 0]);
    expect(mask("mask", "warn", "warn")).toEqual([0, 1, 1, 0]);
    expect(mask("warn", "mask", "warn")).toEqual([0, 1, 0, 0]);
    expect(mask("warn", "warn", "mask")).toEqual([0, 0, 0, 1]);
    expect(mask("mask", "mask", "mask")).toEqual([0, 1, 1, 1]);
  });
});
