import { describe, expect, test } from "vitest";
import { REGISTERED_REWARDS, type RegisteredName } from "../../src/reward/registry.ts";
import type { AsyncReward, Completion, RewardRow } from "../../src/reward/reward.ts";
import { ADVERSARIAL, FAILS, ROWS } from "./adversarial.ts";
import { keywordCounting } from "./keyword-counting.ts";

/** A reward's function, unbound. */
interface Scoring {
  score: (this: void, completion: Completion, row: RewardRow) => ReturnType<AsyncReward["score"]>;
}

/** Rewards that the text alone does not decide; each has tests of its own. */
const BEYOND_TEXT = ["random", "soft-overlong", "judge", "by-type"];

/** The rewards of the table: names of a configuration, and the same with options. */
const REWARDS: Record<string, AsyncReward> = {
  ...Object.fromEntries(
    Object.keys(REGISTERED_REWARDS)
      .filter((name) => !BEYOND_TEXT.includes(name))
      .map((name) => [name, make(name as RegisteredName)]),
  ),
  "format-tags once": make("format-tags", { once: true }),
  "format-think-answer once": make("format-think-answer", { once: true }),
  "format-context once": make("format-context", { once: true }),
  "format-answer once": make("format-answer", { once: true }),
  "exact-alnum fallback": make("exact-alnum", { fallback: true }),
  "set-f1 strip": make("set-f1", { strip: true }),
  "numeric tolerance": make("numeric", { tolerance: 0.05 }),
  "yes-no strict": make("yes-no", { strict: true }),
};

function make(name: RegisteredName, options: Record<string, unknown> = {}): AsyncReward {
  return REGISTERED_REWARDS[name].make(options, { seed: 0 });
}

/** The same as functions. */
const TABLE = Object.entries(REWARDS).map(([name, reward]): [string, Scoring] => [
  name,
  { score: (said, row) => reward.score(said, row) },
]);

function completion(text: string): Completion {
  return { text, ids: [], finished: true, index: 0, draw: 0 };
}

describe("adversarial completions", () => {
  test("are many, and each says why", () => {
    expect(ADVERSARIAL.length).toBeGreaterThanOrEqual(200);
    expect(new Set(ADVERSARIAL.map(([row, text]) => `${row} ${text}`)).size).toBe(
      ADVERSARIAL.length,
    );
    expect(ADVERSARIAL.filter(([, , , why]) => why.length < 5)).toEqual([]);
  });

  test("name every reward of the table", () => {
    const named = new Set(ADVERSARIAL.flatMap(([, , scores]) => Object.keys(scores)));
    expect([...named].sort()).toEqual(Object.keys(REWARDS).sort());
  });

  test.each(ADVERSARIAL)("%s: %j", (name, text, scores, why) => {
    const row: RewardRow = ROWS[name];
    for (const [reward, { score }] of TABLE) {
      const message = `${reward}: ${why}`;
      if (FAILS[name].includes(reward)) {
        expect(() => score(completion(text), row), message).toThrow(`of row ${name} is`);
      } else {
        expect(score(completion(text), row), message).toBeCloseTo(scores[reward] ?? 0, 12);
      }
    }
  });

  test("pay a keyword reward where every other pays nothing", () => {
    const stuffed = ADVERSARIAL.filter(
      ([name, text]) => name === "choice" && text.startsWith("people"),
    );
    expect(stuffed).toHaveLength(1);
    for (const [, text, scores] of stuffed) {
      expect(scores).toEqual({});
      expect(keywordCounting.score(completion(text), ROWS.choice)).toBeGreaterThan(0.3);
    }
    const garbage = `${"system".repeat(20)} man ${"system".repeat(20)} face`;
    expect(keywordCounting.score(completion(garbage), ROWS.choice)).toBe(0.1);
  });
});

const MB = 1 << 20;

/** As many different numbers, each after a letter or none, as a megabyte holds. */
function different(letter: string, join: string): string {
  const count = Math.floor(MB / (7 + letter.length + join.length));
  return Array.from({ length: count }, (_, at) => `${letter}${1_000_000 + at}`).join(join);
}

/** Completions of a megabyte, each the worst of some regular expression or loop. */
const LARGE: Record<string, string> = {
  letters: "x".repeat(MB),
  spaces: " ".repeat(MB),
  "line feeds": "\n".repeat(MB),
  brackets: "<".repeat(MB),
  "opening thoughts": "<think>".repeat(MB / 7),
  "opening contexts": "<context>".repeat(MB / 9),
  "closing thoughts": `<think>${"</think>".repeat(MB / 8)}`,
  "thoughts and spaces": `<think>${"</think> ".repeat(MB / 9)}`,
  "opening answers": "<answer>".repeat(MB / 8),
  "opening answers on lines": "<answer>\n".repeat(MB / 9),
  "opening answers on lines, one closed": `${"<answer>\n".repeat(MB / 9)}</answer>`,
  "answers over and over": "<think>a</think><answer>C</answer>".repeat(MB / 34),
  "a long answer": `<think>a</think><answer>${"C".repeat(MB)}</answer>`,
  "a spaced answer": `<think>a</think><answer>${" ".repeat(MB)}C${" ".repeat(9)}</answer>`,
  "digits in an answer": `<answer>${"1".repeat(MB)}x</answer>`,
  "digits and underscores": `<answer>${"1_".repeat(MB / 2)}x</answer>`,
  "a thousand groups": `<answer>1${",000".repeat(MB / 4)}x</answer>`,
  fractions: `<answer>${"1/".repeat(MB / 2)}1</answer>`,
  "items of a set": `<answer>${"B,".repeat(MB / 2)}C</answer>`,
  actions: `<answer>${"(1)".repeat(MB / 3)}</answer>`,
  "an action never closed": `<answer>(${"1".repeat(MB)}</answer>`,
  "a span never closed": `<answer>[${"1".repeat(MB)}</answer>`,
  spans: `<answer>${"[10, 20]".repeat(MB / 8)}</answer>`,
  "a span of spaces": `<answer>[1,${" ".repeat(MB)}</answer>`,
  "words of the answer": `<answer>${"The quick brown fox jumps ".repeat(MB / 26)}</answer>`,
  "short words": `<answer>${"a ".repeat(MB / 2)}</answer>`,
  "words with endings": `<answer>${"quickationally ".repeat(MB / 15)}</answer>`,
  "many words": `<answer>${different("q", " ")}</answer>`,
  "many actions": `<answer>(${different("", ")(")})</answer>`,
  "many items": `<answer>${different("", ",")}</answer>`,
  "many spans": `<answer>[${different("", ", 9999999]; [")}, 9999999]</answer>`,
  "yes and no": `<answer>${"yesno".repeat(MB / 5)}</answer>`,
};

describe("a megabyte", () => {
  test.each(Object.entries(LARGE))("of %s takes every reward at most a second", (_, text) => {
    for (const [name, { score }] of TABLE) {
      for (const [kind, row] of Object.entries(ROWS)) {
        if (FAILS[kind as keyof typeof FAILS].includes(name)) continue;
        if (!RELEVANT[name]?.includes(kind) && kind !== "choice") continue;
        // Time of the processor, the least of some runs: a backtracking search takes minutes.
        let fastest = Infinity;
        for (let run = 0; run < 8 && fastest >= 1000; run++) {
          const started = process.cpuUsage();
          void score(completion(text), row);
          const { user, system } = process.cpuUsage(started);
          fastest = Math.min(fastest, (user + system) / 1000);
        }
        expect(fastest, `${name} on ${kind}`).toBeLessThan(1000);
      }
    }
  });

  /** Rows besides the choice whose answer takes a reward through more of its work. */
  const RELEVANT: Record<string, string[]> = {
    "set-f1": ["several"],
    "set-f1 strip": ["several"],
    numeric: ["thousand"],
    "numeric tolerance": ["thousand"],
    regression: ["thousand"],
    "action-match": ["actions"],
    "action-iou": ["actions"],
    ocr: ["words"],
    rouge: ["words"],
    "yes-no": ["yes"],
    "yes-no strict": ["yes"],
    "temporal-iou": ["spans"],
  };
});
