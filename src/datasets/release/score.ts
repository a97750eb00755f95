import type { DataRow, Scorer } from "../../data/dataset.ts";
import { checkAnswer } from "../../reward/answer/accuracy.ts";
import { formatReward } from "../../reward/rewards/format.ts";

/**
 * Makes the scorer of a benchmark: the reader of answers, with all of its questions in the denominator,
 * and the names that a row is counted under.
 *
 * @param categories names of a row's groups, such as its type; empty texts do not count.
 */
export function answerScorer(categories: (row: DataRow) => readonly string[]): Scorer {
  return {
    score(completion, row) {
      const { correct, unparsed } = checkAnswer(completion.text, row);
      return {
        overall: correct === true ? 1 : 0,
        format: formatReward.score(completion, row) ?? 0,
        unparsed: unparsed === undefined ? 0 : 1,
      };
    },
    categories: (row) => categories(row).filter((name) => name !== ""),
  };
}

/** Returns a column of a row as a text; empty where it has none. */
export function columnOf({ columns }: DataRow, key: string): string {
  const value = columns?.[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
