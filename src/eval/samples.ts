/** Measures of several answers to one question: at least one right in k, and what most of them say. */
import type { AnswerScore, DataRow } from "../data/dataset.ts";
import { parseAnswer } from "../reward/answer/parse.ts";
import { regionOf } from "../reward/answer/region.ts";

/**
 * Returns the probability that of k answers, drawn from n of which c are right, one at least is right:
 * 1 - C(n - c, k) / C(n, k).
 *
 * Source: Chen et al. 2021, arXiv 2107.03374, equation 1.
 */
export function passAt(n: number, c: number, k: number): number {
  if (n - c < k) return 1;
  let missed = 1;
  for (let i = n - c + 1; i <= n; i++) missed *= 1 - k / i;
  return 1 - missed;
}

/** Returns the k for which `pass@k` is told of n answers: powers of two, and n itself. */
function kinds(n: number): number[] {
  const powers: number[] = [];
  for (let k = 1; k < n; k *= 2) powers.push(k);
  return [...powers, n];
}

/**
 * Returns the score of the answer that most of the texts give; of several with as many, the one that was
 * given first. Texts of which nothing can be read have no vote; 0 where none has.
 */
export function majority(
  texts: readonly string[],
  scores: readonly AnswerScore[],
  row: DataRow,
): number {
  const votes = new Map<string, { count: number; score: number }>();
  texts.forEach((text, at) => {
    const said = answerOf(text, row);
    if (said === undefined) return;
    const vote = votes.get(said) ?? { count: 0, score: scores[at]!.overall };
    votes.set(said, { ...vote, count: vote.count + 1 });
  });
  const most = Math.max(0, ...[...votes.values()].map(({ count }) => count));
  return [...votes.values()].find(({ count }) => count === most)?.score ?? 0;
}

/** The answer that a text gives: the letter of an option, or the words of its answer. */
function answerOf(text: string, row: DataRow): string | undefined {
  if (row.options !== undefined && row.options.length > 0) {
    const parsed = parseAnswer(text, row);
    return parsed.kind === "unparsed" ? undefined : parsed.letter;
  }
  const { start, end } = regionOf(text);
  const words = text.slice(start, end).replaceAll(/\s+/g, " ").trim().toLowerCase();
  return words === "" ? undefined : words;
}

/**
 * Puts the scores of several answers to a question together: the mean of each measure, and of more
 * than one answer `pass@k` and `maj@n`.
 */
export function combined(
  scores: readonly AnswerScore[],
  texts: readonly string[],
  row: DataRow,
): AnswerScore {
  const n = scores.length;
  const [first] = scores;
  if (n === 1) return first!;
  const right = scores.filter(({ overall }) => overall === 1).length;
  const means = Object.keys(first!).map((name) => [
    name,
    scores.reduce((sum, score) => sum + (score[name] ?? 0), 0) / n,
  ]);
  const passes = kinds(n).map((k) => [`pass@${k}`, passAt(n, right, k)]);
  return Object.fromEntries([
    ...means,
    ...passes,
    [`maj@${n}`, majority(texts, scores, row)],
  ]) as unknown as AnswerScore;
}
