import type { Events } from "../core/events.ts";
import { report, type RunEvents, type Scores } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { AnswerScore, DataRow, OfficialScorer, Scorer } from "../data/dataset.ts";
import type { Processor } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";
import type { Completion, Score } from "../reward/reward.ts";
import type { RewardScorer } from "../reward/scorer.ts";
import { combined } from "./samples.ts";
import { summarise } from "../reward/summarise.ts";
import { completionRecord } from "../rollout/records.ts";
import { asCompletion } from "../rollout/roll-out.ts";
import type { RolloutSource } from "../rollout/source.ts";
import type { SamplingOptions } from "../rollout/types.ts";

/** Questions that are answered together. */
const BATCH = 32;

/** Parts and questions of an evaluation. */
export interface Evaluation {
  generator: RolloutSource;
  processor: Processor;
  loader: SampleLoader;
  rows: readonly DataRow[];
  /** Settings by which answers are decoded; a temperature of 0 is greedy. */
  sampling: SamplingOptions;
  /** Answers to each question. */
  generations: number;
  scorer: Scorer;
  /** Name of the way in which it is asked. */
  protocol: string;
  /** The rule of the benchmark's authors, told beside the scores; none when left out. */
  official?: OfficialScorer | undefined;
  /** The rewards of a run, measured beside the scores; none when left out. */
  rewards?: RewardScorer<DataRow> | undefined;
  /** The evaluation, as the records of its answers name it. */
  place: Pick<RunEvents["evaluation"], "benchmark" | "step" | "when" | "control">;
  events: Events;
  /** Checked between batches: an abort ends the evaluation without a result. */
  stop?: AbortSignal;
  /** Its name on the progress line. */
  what?: string;
}

/** Scores of one benchmark, and what could not be answered. */
export interface EvaluationResult {
  scores: Scores;
  questions: number;
  failed: number;
  /** Means and deviations of the run's rewards, under the names of metrics. */
  rewards: Record<string, number>;
}

/**
 * Asks the questions of one benchmark and scores the answers. Every question counts: one that fails
 * is wrong, and counted as failed.
 *
 * @returns undefined when stopped.
 */
export async function evaluateBenchmark(run: Evaluation): Promise<EvaluationResult | undefined> {
  const { rows, events, scorer, official } = run;
  const tally = new Tally(run);
  const scored: Score[] = [];
  let failed = 0;
  for (let start = 0; start < rows.length; start += BATCH) {
    if (run.stop?.aborted === true) return undefined;
    const loaded = await loadRows(run, rows.slice(start, start + BATCH));
    for (const { row } of loaded) tally.ask(row);
    const usable = loaded.flatMap(({ row, sample }) => (sample ? [{ row, sample }] : []));
    failed += loaded.length - usable.length;
    const answered = new Map((await answersOf(run, usable)).map((group) => [group.row, group]));
    for (const { row } of loaded) {
      const known = {
        ...{ ...run.place, protocol: run.protocol, sample: row.id },
        categories: scorer.categories?.(row) ?? [],
      };
      const group = answered.get(row);
      if (group === undefined) {
        const ruled = Array.from({ length: run.generations }, () => tally.rule(undefined, row))[0]!;
        report(events, "answer", {
          ...{ ...known, ...completionRecord(row, UNASKED, undefined) },
          ...{ failed: true, correct: false, score: 0 },
          ...(official && { [official.name]: ruled }),
        });
        continue;
      }
      const { completions, scores } = group;
      const said = await Promise.all(completions.map(async (one) => scorer.score(one, row)));
      const texts = completions.map(({ text }) => text);
      tally.add(row, combined(said, texts, row));
      if (scores !== undefined) scored.push(...scores);
      for (const [at, completion] of completions.entries()) {
        const { overall, ...measures } = said[at]!;
        const ruled = tally.rule(completion.text, row);
        report(events, "answer", {
          ...{ ...known, ...completionRecord(row, completion, scores?.[at]) },
          ...{ correct: overall === 1, score: overall, ...flags(measures) },
          ...(official && { [official.name]: ruled }),
        });
      }
    }
    const done = Math.min(rows.length, start + BATCH);
    report(events, "progress", { what: run.what ?? "evaluating", done, total: rows.length });
  }
  const scores = tally.scores(rows.length);
  return { scores, questions: rows.length, failed, rewards: rewardMetrics(scored) };
}

/** Stands for the answer to a question that could not be asked. */
const UNASKED: Completion = { text: "", ids: [], finished: false, index: 0, draw: 0 };

/** Measures that are 0 or 1 are told as false or true, as `format` always was. */
function flags(measures: Readonly<Record<string, number>>): Record<string, number | boolean> {
  const told = Object.entries(measures).map(([name, value]) => [
    name,
    value === 0 || value === 1 ? value === 1 : value,
  ]);
  return Object.fromEntries(told) as Record<string, number | boolean>;
}

/** Sums over the questions of a benchmark. */
class Tally {
  readonly #scorer: Scorer;
  readonly #official: OfficialScorer | undefined;
  readonly #generations: number;
  /** Sum and number of the answers that the authors' rule scores. */
  readonly #ruled = { sum: 0, count: 0 };
  readonly #asked = new Map<string, number>();
  readonly #right = new Map<string, number>();
  readonly #measures = new Map<string, number>();
  #overall = 0;

  constructor({ scorer, official, generations }: Evaluation) {
    this.#scorer = scorer;
    this.#generations = generations;
    this.#official = official;
  }

  /**
   * Scores an answer by the authors' rule, which has a denominator of its own.
   *
   * @param text undefined where the question could not be asked.
   * @returns null where the rule leaves the question out, or there is no rule.
   */
  rule(text: string | undefined, row: DataRow): number | null {
    const score = this.#official?.score(text, row) ?? null;
    if (score === null) return null;
    this.#ruled.sum += score;
    this.#ruled.count++;
    return score;
  }

  #categories(row: DataRow): readonly string[] {
    return this.#scorer.categories?.(row) ?? [];
  }

  /** Counts a question, whether or not it will have an answer. */
  ask(row: DataRow): void {
    for (const name of this.#categories(row)) {
      this.#asked.set(name, (this.#asked.get(name) ?? 0) + 1);
    }
  }

  /** Adds the score of a question's answer. */
  add(row: DataRow, { overall, ...measures }: AnswerScore): void {
    this.#overall += overall;
    for (const name of this.#categories(row)) {
      this.#right.set(name, (this.#right.get(name) ?? 0) + overall);
    }
    for (const [name, value] of Object.entries(measures)) {
      this.#measures.set(name, (this.#measures.get(name) ?? 0) + value);
    }
  }

  /**
   * Means with fixed denominators: all questions, and all of a category. Under the name of the authors'
   * rule stands its mean over the answers that it scores, and how many of all those are.
   */
  scores(questions: number): Scores {
    const kinds = [...this.#asked].map(([kind, count]) => [
      kind,
      (this.#right.get(kind) ?? 0) / count,
    ]);
    const measures = [...this.#measures].map(([name, sum]) => [name, sum / questions]);
    const { sum, count } = this.#ruled;
    if (this.#official !== undefined) {
      measures.push([this.#official.name, count === 0 ? 0 : sum / count]);
      measures.push([`${this.#official.name}_counted`, count / (questions * this.#generations)]);
    }
    return {
      overall: this.#overall / questions,
      ...(Object.fromEntries([...kinds, ...measures]) as Record<string, number>),
    };
  }
}

type LoadedRow = { row: DataRow; sample: Sample | undefined };

/** Returns the samples of rows; one that cannot be made is told and has none. */
async function loadRows(
  { loader, events, place }: Evaluation,
  rows: readonly DataRow[],
): Promise<LoadedRow[]> {
  const loaded = await Promise.all(
    rows.map(async (row) => {
      try {
        return { row, sample: await loader.load(row) };
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        report(events, "warning", { code: "question-failed", message });
        return { row, sample: undefined };
      }
    }),
  );
  // Once in a run, and in the order of the rows: a resumed run says the same.
  if (place.step === 0 && place.control === null) {
    for (const warning of loaded.flatMap(({ sample }) => sample?.warnings ?? [])) {
      report(events, "warning", warning);
    }
  }
  return loaded;
}

/** The answers to each row, and what the run's rewards make of them. */
async function answersOf(
  { generator, processor, sampling, rewards, generations }: Evaluation,
  rows: readonly { row: DataRow; sample: Sample }[],
): Promise<{ row: DataRow; completions: Completion[]; scores: Score[] | undefined }[]> {
  if (rows.length === 0) return [];
  const requests = rows.map(({ sample }) => ({ sample, generations, draw: 0 }));
  const groups = await generator.generate(requests, sampling);
  const asked = rows.map(({ row }, i) => ({
    row,
    completions: groups[i]!.map((answer, index) =>
      asCompletion(processor, answer, { index, draw: 0 }),
    ),
  }));
  const scores = await rewards?.scoreGroups(asked);
  return asked.map((group, i) => ({ ...group, scores: scores?.[i] }));
}

/** Means and deviations (n - 1) as metrics; what is of no answer, or of one only, is left out. */
function rewardMetrics(scores: readonly Score[]): Record<string, number> {
  if (scores.length === 0) return {};
  const { total, components } = summarise(scores);
  const metrics: Record<string, number | null> = { reward: total.mean, reward_std: total.std };
  for (const [name, { mean, std, failedShare }] of Object.entries(components)) {
    metrics[`rewards/${name}/mean`] = mean;
    metrics[`rewards/${name}/std`] = std;
    metrics[`rewards/${name}/failed`] = failedShare;
  }
  const known = Object.entries(metrics).filter(([, value]) => value !== null);
  return Object.fromEntries(known) as Record<string, number>;
}
