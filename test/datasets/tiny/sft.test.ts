import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { clipContents } from "../../../src/datasets/tiny/clip.ts";
import { KINDS, makeQuestion } from "../../../src/datasets/tiny/questions.ts";
import {
  alignmentLabels,
  clipTree,
  completionIds,
  questionIds,
  textTree,
  type Teacher,
} from "../../../src/datasets/tiny/sft.ts";
import { IGNORE } from "../../../src/network/decoder/packed.ts";
import { tinyIds } from "../../../src/datasets/tiny/words.ts";
import { Tokenizer } from "../../../src/text/tokenizer.ts";
import { clipPlaceholders, clipPromptIds } from "../../helpers/tiny-prompt.ts";

const folder = new URL("../../../assets/tiny/", import.meta.url);
const tokenizer = Tokenizer.fromJson(readFileSync(new URL("tokenizer.json", folder), "utf8"));
const ids = tinyIds((text) => tokenizer.encode(text));
const prompt = clipPromptIds(ids, clipPlaceholders(ids));
const contents = clipContents(1, 0);
/** The teacher of the warm start's second stage. */
const CARELESS_TEACHER: Teacher = { late: [0.3, 0.3, 0.7, 0.7], forget: 0.1 };

describe("tinyIds", () => {
  test("refuses a tokenizer that splits a word", () => {
    expect(() => tinyIds((text) => Array.from(text, () => 0))).toThrow(
      /" Which" to be one token; this tokenizer makes it 6/,
    );
  });
});

describe("clipTree", () => {
  test("shares 73 tokens and asks four questions of 23 tokens with 8 or 9 answer tokens", () => {
    const tree = clipTree(contents, ids, prompt, new Random(1, "data"));
    expect(tree.promptIds).toHaveLength(73);
    expect(tree.branches).toHaveLength(4);
    const lengths = tree.branches.map(({ ids: branch }) => branch.length);
    // The end token has no successor, so a branch holds one token less than 23 + 8 or 23 + 9.
    expect(lengths).toEqual([30, 30, 31, 31]);
  });

  test("labels a position with the token after it, on completion tokens only", () => {
    const tree = clipTree(contents, ids, prompt, new Random(2, "data"));
    for (const branch of tree.branches) {
      const labels = branch.labels;
      expect(labels).toHaveLength(branch.ids.length);
      expect(branch.roles).toHaveLength(branch.ids.length);
      expect(labels.slice(0, 22).every((label) => label === IGNORE)).toBe(true);
      expect(labels.slice(22, -1)).toEqual(branch.ids.slice(23));
      expect(labels.at(-1)).toBe(ids.tags.imEnd);
      expect(branch.roles.map((role) => role !== undefined)).toEqual(
        labels.map((label) => label !== IGNORE),
      );
    }
  });

  test("writes what the text of the task says", () => {
    const tree = clipTree(contents, ids, prompt, new Random(3, "data"));
    const texts = tree.branches.map((branch) =>
      tokenizer.decode([...branch.ids, branch.labels.at(-1)!]),
    );
    expect(texts[0]).toMatch(
      new RegExp(
        "^ Which colour is shown (first|second|third|last) \\?\\nA \\w+\\nB \\w+\\nC \\w+\\nD \\w+" +
          "<\\|im_end\\|>\\n<\\|im_start\\|>assistant\\n<think> \\1 \\w+</think>" +
          "<answer>[ABCD]</answer><\\|im_end\\|>$",
      ),
    );
    expect(texts[2]).toMatch(/Which colour goes with (\w+) \?.*<think> \1 \w+ \w+<\/think>/s);
  });

  test("gives the perfect teacher's slot, word and letter", () => {
    const random = new Random(4, "data");
    for (let round = 0; round < 50; round++) {
      for (const kind of KINDS) {
        const question = makeQuestion(contents, kind, random);
        const { ids: completion, roles } = completionIds(ids, question);
        expect(completion).toHaveLength(question.key === undefined ? 8 : 9);
        expect(completion[roles.indexOf("letter")]).toBe(ids.letter(question.letter));
        const word = question.wordOfSlot[question.slot]!;
        expect(completion[roles.indexOf("word")]).toBe(ids.word(word));
        expect(roles.filter((role) => role !== "plain")).toEqual(["slot", "word", "letter"]);
      }
    }
  });
});

describe("the careless teacher", () => {
  test("answers for the slot before as often as told, and forgets tags in one of ten", () => {
    const ordinal = ["first", "second", "third", "last"].map((word) => ids.word(word));
    const asked = [0, 0, 0, 0];
    const late = [0, 0, 0, 0];
    let forgot = 0;
    let total = 0;
    const random = new Random(5, "data");
    for (let round = 0; round < 3000; round++) {
      const { branches } = clipTree(clipContents(1, round), ids, prompt, random, CARELESS_TEACHER);
      for (const branch of branches.slice(0, 2)) {
        const slot = ordinal.indexOf(branch.ids[4]!);
        const answered = ordinal.indexOf(branch.labels[branch.roles.indexOf("slot")]!);
        asked[slot] = asked[slot]! + 1;
        if (answered !== slot) {
          expect(answered).toBe((slot + 3) % 4);
          late[slot] = late[slot]! + 1;
        }
        // Thought and letter agree: the letter's option is the word of the thought.
        const word = branch.labels[branch.roles.indexOf("word")]!;
        const letter = branch.labels[branch.roles.indexOf("letter")]!;
        expect(branch.ids[branch.ids.indexOf(letter, 6) + 1]).toBe(word);
        if (!branch.ids.includes(ids.tags.answer)) {
          expect(branch.ids).not.toContain(ids.tags.endAnswer);
          expect(branch.ids).toHaveLength(28);
          forgot++;
        }
        total++;
      }
    }
    const near = (seen: number, count: number, chance: number): void => {
      expect(Math.abs(seen / count - chance)).toBeLessThan(
        4 * Math.sqrt((chance * (1 - chance)) / count),
      );
    };
    CARELESS_TEACHER.late.forEach((chance, slot) => near(late[slot]!, asked[slot]!, chance));
    near(forgot, total, CARELESS_TEACHER.forget);
  });
});

describe("alignmentLabels", () => {
  test("labels 16 video and 15 audio positions with their slot's word", () => {
    const labels = alignmentLabels(contents, ids, prompt);
    const slots: [positions: number[], words: string[]][] = ALIGNED.map((positions, at) => [
      positions,
      at < 4 ? [contents.colours[at]!] : [contents.sounds[at - 4]!],
    ]);
    const expected = prompt.map(() => IGNORE);
    for (const [positions, [word]] of slots) {
      for (const position of positions) expected[position] = ids.word(word!);
    }
    expect(labels).toEqual(expected);
  });

  test("refuses a prompt with another number of placeholders", () => {
    expect(() => alignmentLabels(contents, ids, [...prompt, ids.tags.audio])).toThrow(
      "this one has 16 and 51",
    );
  });
});

/** Positions that the experiment labels: slots 1 to 4 of the picture, then of the sound. */
const ALIGNED = [
  [5, 6, 7, 8],
  [9, 10, 11, 12],
  [38, 39, 40, 41],
  [42, 43, 44, 45],
  [18, 19, 20, 21],
  [31, 32, 33, 34],
  [51, 52, 53, 54],
  [64, 65, 66],
];

describe("textTree", () => {
  test("holds all four answers, with loss on letters and on the named slot's word", () => {
    const random = new Random(6, "data");
    const kinds = new Set<string>();
    for (let round = 0; round < 200; round++) {
      const tree = textTree(ids, random);
      expect(tree.promptIds).toHaveLength(26);
      const letters = tree.branches.map((branch) => {
        const letter = branch.labels[branch.roles.indexOf("letter")]!;
        const word = branch.ids[branch.ids.indexOf(ids.tags.endThink) - 1]!;
        // The option that the prompt lists under the letter is the branch's word.
        expect(tree.promptIds[tree.promptIds.indexOf(letter, 9) + 1]).toBe(word);
        branch.labels.forEach((label, at) => {
          const next = branch.ids[at + 1] ?? ids.tags.imEnd;
          expect([IGNORE, next]).toContain(label);
        });
        return letter;
      });
      expect(new Set(letters).size).toBe(4);
      const counted = tree.branches.flatMap(({ roles }) =>
        roles.filter((role) => role !== undefined),
      );
      const key = tree.promptIds[5] === ids.word("goes");
      expect(counted.sort((a, b) => a.localeCompare(b))).toEqual(
        key ? Array(4).fill("letter") : [...Array(4).fill("letter"), "slot"],
      );
      kinds.add(tokenizer.decode(tree.promptIds.slice(4, 7)));
    }
    expect(kinds.size).toBe(4);
  });

  test("names the asked slot in the branch that answers for it", () => {
    const random = new Random(7, "data");
    for (let round = 0; round < 100; round++) {
      const tree = textTree(ids, random);
      tree.branches.forEach((branch) => {
        const at = branch.roles.indexOf("slot");
        if (at >= 0) expect(branch.labels[at]).toBe(tree.promptIds[7]);
      });
    }
  });
});

test("questionIds and the prompt's pieces are 96 tokens", () => {
  const question = makeQuestion(contents, "see", new Random(8, "data"));
  expect([...prompt, ...questionIds(ids, question)]).toHaveLength(96);
});
