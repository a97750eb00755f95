import { describe, expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { clipContents } from "../../../src/datasets/tiny/clip.ts";
import { CLIP_SEEDS, clipFileName, TinyDataset } from "../../../src/datasets/tiny/dataset.ts";
import {
  KINDS,
  makeQuestion,
  questionText,
  type Kind,
} from "../../../src/datasets/tiny/questions.ts";
import { LETTERS } from "../../../src/datasets/tiny/words.ts";
import { completionText } from "../../helpers/tiny-prompt.ts";

const ASKED = { see: 3, hear: 3, both: 4, both2: 4 } as const;

describe("makeQuestion", () => {
  test.each(KINDS)("asks %s questions whose right option is the asked slot's word", (kind) => {
    const random = new Random(1, "question");
    for (let index = 0; index < 200; index++) {
      const contents = clipContents(1, index);
      const question = makeQuestion(contents, kind, random);
      const right = question.options[LETTERS.indexOf(question.letter)]!;
      const { colours, sounds } = contents;
      const about = kind === "see" || kind === "both" ? colours : sounds;
      expect([...question.options].sort()).toEqual([...about].sort());
      expect(right).toBe(about[question.slot]);
      expect(question.words).toHaveLength(6);
      // The slot is named by its ordinal or by what else happens in it.
      const named = question.words[4]!;
      const ordinals: readonly string[] = ["first", "second", "third", "last"];
      const others: readonly string[] = kind === "both" ? sounds : colours;
      const slot = (kind === "see" || kind === "hear" ? ordinals : others).indexOf(named);
      expect(slot).toBe(question.slot);
      const words = completionText(question)
        .match(/<think>(.*)<\/think>/)![1]!
        .trim()
        .split(" ");
      expect(words).toHaveLength(ASKED[kind] - 1);
      expect(words.at(-1)).toBe(right);
    }
  });

  test("draws slot and letter uniformly and independently", () => {
    const random = new Random(2, "question");
    const counts = Array.from({ length: 16 }, () => 0);
    const total = 8000;
    for (let index = 0; index < total; index++) {
      const question = makeQuestion(clipContents(1, index % 50), KINDS[index % 4]!, random);
      const cell = 4 * question.slot + LETTERS.indexOf(question.letter);
      counts[cell] = counts[cell]! + 1;
    }
    const expected = total / 16;
    const chiSquare = counts.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
    // 15 degrees of freedom: 37.7 is exceeded once in a thousand.
    expect(chiSquare).toBeLessThan(37.7);
  });

  test("writes question, options and completion as the task says", () => {
    const contents = {
      colours: ["red", "blue", "white", "green"] as const,
      sounds: ["bell", "horn", "hiss", "buzz"] as const,
    };
    const question = makeQuestion(
      { colours: [...contents.colours], sounds: [...contents.sounds] },
      "both",
      new Random(3, "question"),
      { slot: 2, place: 1 },
    );
    expect(questionText(question)).toMatch(
      /^ Which colour goes with hiss \?\nA (red|blue|green)\nB white\nC \w+\nD \w+$/,
    );
    expect(completionText(question)).toBe("<think> hiss third white</think><answer>B</answer>");
  });
});

describe("TinyDataset", () => {
  const data = new TinyDataset({ split: "train", clips: 960, folder: "clips" });
  const rows = Array.from({ length: data.length }, (_, index) => data.row(index));

  test("asks see, hear and both in turn, each clip once, under unique names", () => {
    expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length);
    rows.forEach((row, index) => {
      expect(row.kind).toBe((["see", "hear", "both"] as Kind[])[index % 3]);
      expect(row.clipIndex).toBe(index);
      expect(row.mediaNames).toBe(`clips/${clipFileName(index)}`);
    });
  });

  test("gives the same row every time and other clips to every split", () => {
    expect(data.row(17)).toEqual(rows[17]);
    const heldOut = new TinyDataset({ split: "held-out", clips: 300, folder: "clips" });
    expect(heldOut.row(17).options).not.toEqual(rows[17]!.options);
    expect(new Set(Object.values(CLIP_SEEDS)).size).toBe(3);
  });

  test("balances the letters exactly for every kind", () => {
    for (const kind of ["see", "hear", "both"]) {
      for (const letter of LETTERS) {
        const count = rows.filter((row) => row.kind === kind && row.answer === letter).length;
        expect(count).toBe(80);
      }
    }
  });

  test("asks about the clip of the row", () => {
    for (const row of rows.slice(0, 60)) {
      const { colours, sounds } = clipContents(3, row.clipIndex);
      const about = row.kind === "hear" ? sounds : colours;
      expect([...row.options].sort()).toEqual([...about].sort());
      const right = row.options[LETTERS.indexOf(row.answer)]!;
      const named = row.question.split(" ")[4]!;
      const ordinal = ["first", "second", "third", "last"].indexOf(named);
      const slot = row.kind === "both" ? (sounds as string[]).indexOf(named) : ordinal;
      expect(right).toBe(about[slot]);
    }
  });

  test("does not tell the answer by its text", () => {
    const shares = new Map<string, [right: number, offered: number]>();
    for (const row of rows) {
      const named = row.question.split(" ")[4]!;
      row.options.forEach((option, place) => {
        const isRight = row.answer === LETTERS[place];
        for (const clue of [option, `${named} ${LETTERS[place]}`, `${option} ${LETTERS[place]}`]) {
          const [right, offered] = shares.get(clue) ?? [0, 0];
          shares.set(clue, [right + (isRight ? 1 : 0), offered + 1]);
        }
      });
    }
    for (const [clue, [right, offered]] of shares) {
      const deviation = Math.sqrt((offered * 3) / 16);
      expect(Math.abs(right - offered / 4), clue).toBeLessThan(4 * deviation);
    }
  });

  test("names the rows that exist when another one is asked for", () => {
    expect(() => data.row(960)).toThrow("rows 0 to 959, not 960");
  });
});
