import { Events } from "../core/events.ts";
import { reportInStep, reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/dataset.ts";
import type { Processor } from "../model/processor.ts";
import type { Completion } from "../reward/reward.ts";
import type { RewardScorer } from "../reward/scorer.ts";
import type { RolloutSource } from "./source.ts";
import type { Rollout, RolloutGroup, SamplingOptions } from "./types.ts";

/** The parts that rolling out needs. */
export interface RolloutSetup {
  processor: Processor;
  loader: Pick<SampleLoader, "loadAll">;
  source: RolloutSource;
  scorer: RewardScorer<DataRow>;
  sampling: SamplingOptions;
  /** Completions of a row that names no number itself. */
  generations: number;
  /** Hears how long rollout and rewards took; nobody when left out. */
  events?: Events;
}

/**
 * Returns the completion as rewards see it: text with every token kept but the end token that closed
 * it.
 */
export function asCompletion(
  { tokenizer }: Pick<Processor, "tokenizer">,
  { ids, finished }: Rollout,
  place: { index: number; draw: number },
): Completion {
  const said = finished ? ids.slice(0, -1) : ids;
  return { text: tokenizer.decode(said, { skipSpecial: false }), ids, finished, ...place };
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
  const { loader, source, processor, generations, sampling, scorer, events = new Events() } = setup;
  const draws = drawsOf(rows, draw);
  const groups = await reportSpan(events, "rollout", step, async () => {
    const samples = await loader.loadAll(rows);
    const requests = samples.map((sample, i) => ({
      ...{ sample, draw: draws[i]! },
      generations: rows[i]!.num_generations ?? generations,
    }));
    const generated = await source.generate(requests, sampling, {
      onProgress: (done, total) => reportInStep(events, step, "generating", done, total, "tokens"),
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

/** Returns the draw of every row: those that come several times must not say the same. */
function drawsOf(rows: readonly DataRow[], first: number): number[] {
  const next = new Map<string, number>();
  return rows.map(({ id }) => {
    const draw = next.get(id) ?? first;
    next.set(id, draw + 1);
    return draw;
  });
}
