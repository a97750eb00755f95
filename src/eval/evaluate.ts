import type { Events } from "../core/events.ts";
import { report, type RunEvents, type Scores } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/row.ts";
import type { Processor } from "../model/processor.ts";
import { formatReward } from "../reward/rewards/format.ts";
import { accuracyReward } from "../reward/answer/lenient-answer.ts";
import type { Completion, Score } from "../reward/reward.ts";
import type { RewardScorer } from "../reward/scorer.ts";
import { summarise } from "../reward/summarise.ts";
import {
  DEFAULT_SAMPLING,
  type GeneratedCompletion,
  type Generator,
} from "../rollout/generator.ts";

/** Questions that are answered together. */
const BATCH = 32;

/** What an evaluation works with. */
export interface Evaluation {
  generator: Generator;
  processor: Processor;
  loader: SampleLoader;
  rows: readonly DataRow[];
  maxNewTokens: number;
  /** The rewards of a run, measured beside the scores; none when left out. */
  scorer?: RewardScorer<DataRow> | undefined;
  /** What the records of the answers say of the evaluation. */
  place: Pick<RunEvents["evaluation"], "step" | "when" | "control">;
  events: Events;
  /** Checked between batches: an abort ends the evaluation without a result. */
  stop?: AbortSignal;
  /** What the progress line calls it. */
  what?: string;
}

/** Scores of an evaluation, and what it could not answer. */
export interface EvaluationResult {
  scores: Scores;
  questions: number;
  failed: number;
  /** Means and deviations of the run's rewards, under the names of metrics. */
  rewards: Record<string, number>;
}

/**
 * The completion as rewards see it: text with every token kept but the end token that closed it.
 */
export function asCompletion(
  processor: Processor,
  generated: GeneratedCompletion,
  place: { index: number; draw: number },
): Completion {
  const { ids, finished } = generated;
  const said = finished ? ids.slice(0, -1) : ids;
  const text = processor.tokenizer.decode(said, { skipSpecial: false });
  return { text, ids, finished, ...place };
}

/** What the records of runs say of a completion, its row and what its rewards made of it. */
export function completionRecord(
  { mediaNames: media, kind, question, options, answer }: DataRow,
  { text, finished }: Completion,
  score: Score | undefined,
): Record<string, unknown> {
  return {
    ...{ media, kind, question, options, answer, text, finished },
    ...(score && {
      ...{ reward: score.total, rewards: score.components, reward_errors: score.failures },
    }),
  };
}

/**
 * Asks held-out questions greedily and scores the answers with a lenient parser, so that format
 * cannot pay. Every question counts: one that fails is wrong, and counted as failed.
 *
 * @returns undefined when stopped.
 */
export async function evaluate(run: Evaluation): Promise<EvaluationResult | undefined> {
  const { generator, processor, loader, rows, events, scorer } = run;
  const right = new Map<string, number>();
  const asked = new Map<string, number>();
  let formatted = 0;
  let failed = 0;
  const scored: Score[] = [];
  const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: run.maxNewTokens };
  for (let start = 0; start < rows.length; start += BATCH) {
    if (run.stop?.aborted === true) return undefined;
    const batch = rows.slice(start, start + BATCH);
    const loaded = await Promise.all(
      batch.map(async (row) => {
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
    if (run.place.step === 0 && run.place.control === null) {
      for (const warning of loaded.flatMap(({ sample }) => sample?.warnings ?? [])) {
        report(events, "warning", warning);
      }
    }
    const usable = loaded.flatMap(({ row, sample }) => (sample ? [{ row, sample }] : []));
    failed += loaded.length - usable.length;
    for (const { row } of loaded) asked.set(row.kind, (asked.get(row.kind) ?? 0) + 1);
    if (usable.length > 0) {
      const requests = usable.map(({ sample }) => ({ sample, generations: 1, draw: 0 }));
      const groups = await generator.generate(requests, options);
      const answers = usable.map(({ row }, i) => ({
        row,
        completions: [asCompletion(processor, groups[i]![0]!, { index: 0, draw: 0 })],
      }));
      const scores = await scorer?.scoreGroups(answers);
      answers.forEach(({ row, completions: [completion] }, i) => {
        const correct = accuracyReward.score(completion!, row) ?? 0;
        const format = formatReward.score(completion!, row) ?? 0;
        right.set(row.kind, (right.get(row.kind) ?? 0) + correct);
        formatted += format;
        const score = scores?.[i]![0];
        if (score !== undefined) scored.push(score);
        report(events, "answer", {
          ...{ ...run.place, sample: row.id, ...completionRecord(row, completion!, score) },
          ...{ correct: correct === 1, format: format === 1 },
        });
      });
    }
    const done = Math.min(rows.length, start + BATCH);
    report(events, "progress", { what: run.what ?? "evaluating", done, total: rows.length });
  }
  const total = [...right.values()].reduce((sum, value) => sum + value, 0);
  const kinds = [...asked].map(([kind, count]) => [kind, (right.get(kind) ?? 0) / count]);
  const scores: Scores = {
    overall: total / rows.length,
    ...(Object.fromEntries(kinds) as Record<string, number>),
    format: formatted / rows.length,
  };
  return { scores, questions: rows.length, failed, rewards: rewardMetrics(scored) };
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
