import type { Events } from "../core/events.ts";
import { report, reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/dataset.ts";
import { asCompletion, completionRecord } from "../eval/evaluate.ts";
import type { Processor } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";
import { formatReward } from "../reward/rewards/format.ts";
import { accuracyReward } from "../reward/answer/lenient-answer.ts";
import type { Completion, Score } from "../reward/reward.ts";
import type { RewardScorer } from "../reward/scorer.ts";
import type { GeneratedCompletion, Generator } from "../rollout/generator.ts";
import type { RolloutConfig } from "../rollout/schema.ts";

/** What a rollout needs. */
export interface RolloutSetup {
  processor: Processor;
  loader: SampleLoader;
  generator: Generator;
  scorer: RewardScorer<DataRow>;
  rollout: RolloutConfig;
  /** Completions of a row that names no number itself. */
  generations: number;
  seed: number;
  events: Events;
}

/** The completions of one prompt as they were decoded, with their rewards. */
export interface RolloutGroup {
  row: DataRow;
  /** With the row's id the name of the group: a row that comes twice in a batch has two draws. */
  draw: number;
  sample: Sample;
  completions: GeneratedCompletion[];
  /** The completions as rewards see them. */
  said: Completion[];
  scores: Score[];
}

/**
 * Rolls out and rewards one group for every row.
 *
 * @param draw the batch's draw counter, which a row has that comes for the first time; each further
 *   time it is one more.
 * @param step the step that the batch is for.
 */
export async function rollOut(
  setup: RolloutSetup,
  rows: readonly DataRow[],
  { draw, step }: { draw: number; step: number },
): Promise<RolloutGroup[]> {
  const { loader, generator, processor, rollout, generations, seed, scorer, events } = setup;
  const draws = drawsOf(rows, draw);
  const groups = await reportSpan(events, "rollout", step, async () => {
    const samples = await loader.loadAll(rows);
    const requests = samples.map((sample, i) => ({
      ...{ sample, draw: draws[i]! },
      generations: rows[i]!.num_generations ?? generations,
    }));
    const generated = await generator.generate(requests, {
      temperature: rollout.temperature,
      topK: rollout.top_k,
      topP: rollout.top_p,
      minP: rollout.min_p ?? 0,
      repetitionPenalty: rollout.repetition_penalty,
      maxNewTokens: rollout.max_completion_length,
      seed,
    });
    return rows.map((row, i) => {
      const completions = generated[i]!;
      const said = completions.map((completion, index) =>
        asCompletion(processor, completion, { index, draw: draws[i]! }),
      );
      return { row, draw: draws[i]!, sample: samples[i]!, completions, said };
    });
  });
  const asked = groups.map(({ row, said }) => ({ row, completions: said }));
  const scores = await reportSpan(events, "rewards", step, () => scorer.scoreGroups(asked));
  return groups.map((group, i) => ({ ...group, scores: scores[i]! }));
}

/** The draw of every row: those that come several times must not say the same. */
function drawsOf(rows: readonly DataRow[], first: number): number[] {
  const next = new Map<string, number>();
  return rows.map(({ id }) => {
    const draw = next.get(id) ?? first;
    next.set(id, draw + 1);
    return draw;
  });
}

/** Correctness by the lenient parser and format, which are separate from the reward. */
export function checkGroups(groups: readonly RolloutGroup[]): {
  correct: boolean[];
  formatted: boolean[];
} {
  const by = (reward: typeof accuracyReward) =>
    groups.flatMap(({ row, said }) => said.map((text) => reward.score(text, row) === 1));
  return { correct: by(accuracyReward), formatted: by(formatReward) };
}

/** What is known of a step's completions besides their rewards: one entry each, group by group. */
export interface Verdicts {
  correct: readonly boolean[];
  masked: readonly boolean[];
  advantages: ArrayLike<number>;
}

/** Reports every completion. */
export function recordGroups(
  events: Events,
  groups: readonly RolloutGroup[],
  step: number,
  { correct, masked, advantages }: Verdicts,
): void {
  let at = 0;
  for (const { row, draw, completions, said, scores } of groups) {
    completions.forEach((generated, index) => {
      report(events, "rollout", {
        ...{ step, sample: row.id, draw, completion: index },
        ...completionRecord(row, said[index]!, scores[index]),
        ...{ correct: correct[at]!, masked: masked[at]!, advantage: advantages[at]! },
        banned_mass: Math.max(...generated.bannedMass),
        ids: generated.ids,
        log_probs: generated.logProbs,
      });
      at++;
    });
  }
}
