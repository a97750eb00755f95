/**
 * Accuracy: is the answer that a completion gives the right one, in whatever form? It is measured
 * with the reader of answers, so that a run cannot look better at the task for having learnt a format.
 */
import type { RewardRow } from "../reward.ts";
import { readWide } from "../rewards/numeric.ts";
import { goldAnswer } from "./gold.ts";
import { endsWithAnswer, lastNumber } from "./open-answer.ts";
import { canonical, unmarked } from "./canonical.ts";
import { parseAnswer } from "./parse.ts";
import { regionOf } from "./region.ts";

/** The verdict on a completion's answer. */
interface CheckedAnswer {
  /** Null for a row without an answer. */
  correct: boolean | null;
  /** Why no answer could be read, as a phrase; undefined where one was. */
  unparsed: string | undefined;
}

/**
 * Compares what a completion answers with the right answer of its row.
 *
 * Of a choice that is the option that `parseAnswer` reads, and no other rule is tried where it reads
 * none. An answer that is no option is right where what follows the thought, or the last `<answer>`
 * or `\boxed{}` in it, ends with it.
 *
 * @throws {DataError} where the row's own answer cannot be right, see `goldAnswer`.
 */
export function checkAnswer(text: string, row: RewardRow): CheckedAnswer {
  const gold = goldAnswer(row);
  if (gold.kind === "none") return { correct: null, unparsed: undefined };
  if (gold.kind === "option") {
    const answer = parseAnswer(text, row);
    if (answer.kind === "unparsed") return { correct: false, unparsed: answer.reason };
    return { correct: answer.letter === gold.letter, unparsed: undefined };
  }
  const { start, end } = regionOf(text);
  const said = unmarked(canonical(text.slice(start, end)));
  if (!/[\p{L}\p{N}\p{S}]/u.test(said)) return { correct: false, unparsed: "nothing is said" };
  const number = gold.kind === "open" && readWide(gold.text) !== undefined;
  if (number && lastNumber(said) === undefined) {
    return { correct: false, unparsed: "no number is named" };
  }
  const list = gold.kind === "several" || undefined;
  return { correct: endsWithAnswer(said, gold.text, list), unparsed: undefined };
}
