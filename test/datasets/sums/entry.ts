/** A data set with a scorer of its own, in a folder of its own: sums of neighbouring numbers. */
import { z } from "zod";
import type { OpenedData, Scorer } from "../../../src/data/dataset.ts";

const shape = {
  terms: z.int().min(2).default(2).describe("Numbers that are added."),
  rows: z.int().positive().default(10).describe("Number of sums."),
};

const scorer: Scorer = {
  score({ text }, { answer }) {
    const said = /\d+/.exec(text)?.[0];
    return { overall: said === answer ? 1 : 0, number: said === undefined ? 0 : 1 };
  },
  categories: ({ answer }) => [Number(answer) % 2 === 1 ? "odd" : "even"],
};

export const SUMS = {
  doc: "sums of neighbouring numbers",
  settings: shape,
  asked: shape,
  open({ terms, rows }: { terms: number; rows: number }): OpenedData {
    const set = {
      length: rows,
      digest: `sums ${terms} ${rows}`,
      row(index: number) {
        const numbers = Array.from({ length: terms }, (_, i) => index + i);
        const question = `${numbers.join(" + ")} =`;
        return {
          ...{ id: `sum-${index}`, question, kind: "all", mediaNames: "" },
          answer: String(numbers.reduce((a, b) => a + b)),
          conversation: [{ role: "user", content: question }],
        };
      },
    };
    return { set, scorer };
  },
};
