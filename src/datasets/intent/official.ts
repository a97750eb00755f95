import type { OfficialScorer } from "../../data/dataset.ts";
import { columnOf } from "../release/score.ts";

/**
 * The rule of HumanOmniV2's evaluation, by problem type, over all rows: of a choice the texts without
 * outer blanks must be equal; of several options the F1 of the two lists, cut at commas and not
 * stripped, so that "B, E" holds one of "B,E"; of a yes or no both must hold "yes", or both "no", so
 * that "not" holds a "no". Without an answer tag the whole completion is the answer, as with the batch
 * of one that the paper evaluates with. A clip that does not load is wrong.
 *
 * Source: HumanMLLM/HumanOmniV2 `eval_humanomniv2.py` (9bf0e6f).
 */
export const INTENT_BENCH_OFFICIAL: OfficialScorer = {
  name: "intentbench-official",
  score(text, row) {
    if (text === undefined) return 0;
    const said = tagged(text) ?? text;
    const solution = columnOf(row, "solution");
    const gold = tagged(solution) ?? columnOf(row, "answer");
    if (row.problem_type === "emer_ov_mc") return setF1(gold.split(","), said.split(","));
    if (row.problem_type === "judge") {
      const [a, b] = [gold.toLowerCase(), said.toLowerCase()];
      const both = (word: string) => a.includes(word) && b.includes(word);
      return Number(both("yes") || both("no"));
    }
    return Number(said.trim() === gold.trim());
  },
};

function tagged(text: string): string | undefined {
  return /<answer>(.*?)<\/answer>/s.exec(text)?.[1];
}

function setF1(gold: readonly string[], said: readonly string[]): number {
  const [a, b] = [new Set(gold), new Set(said)];
  const shared = [...b].filter((one) => a.has(one)).length;
  if (shared === 0) return 0;
  const [precision, recall] = [shared / b.size, shared / a.size];
  return (2 * precision * recall) / (precision + recall);
}
