import type { Events } from "../core/events.ts";
import { report, reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/dataset.ts";
import { asCompletion, completionRecord } from "../eval/evaluate.ts";
import type { Processor } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";
import { formatReward } from "../reward/rewards/format.ts";
import { checkAnswer } from "../reward/answer/accuracy.ts";
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

/** What the completions of a step are besides their rewards: one entry each, group by group. */
export interface Checks {
  /** By the reader of answers, which no format can please; null for rows without an answer. */
  correct: (boolean | null)[];
  /** True where no answer could be read. */
  unparsed: boolean[];
  /** True where the asked format is there. */
  formatted: boolean[];
}

/** Reads the answers of completions and their format, which are separate from the reward. */
export function checkGroups(groups: readonly RolloutGroup[]): Checks {
  const checks: Checks = { correct: [], unparsed: [], formatted: [] };
  for (const { row, said } of groups) {
    for (const completion of said) {
      const { correct, unparsed } = checkAnswer(completion.text, row);
      checks.correct.push(correct);
      checks.unparsed.push(unparsed !== undefined);
      checks.formatted.push(formatReward.score(completion, row) === 1);
    }
  }
  return checks;
}

/** What is known of a step's completions besides their rewards: one entry each, group by group. */
export interface Verdicts {
  correct: readonly (boolean | null)[];
  unparsed: readonly boolean[];
  masked: readonly boolean[];
  advantages: ArrayLike<number>;
}

/** Reports every completion. */
export function recordGroups(
  events: Events,
  groups: readonly RolloutGroup[],
  step: number,
  { correct, unparsed, masked, advantages }: Verdicts,
): void {
  let at = 0;
  for (const { row, draw, completions, said, scores } of groups) {
    completions.forEach((generated, index) => {
      report(events, "rollout", {
        ...{ step, sample: row.id, draw, completion: index },
        ...completionRecord(row, said[index]!, scores[index]),
        ...{ correct: correct[at]!, unparsed: unparsed[at]! },
        ...{ masked: masked[at]!, advantage: advantages[at]! },
        banned_mass: Math.max(...generated.bannedMass),
        ids: generated.ids,
        log_probs: generated.logProbs,
      });
      at++;
    });
  }
}
