import type { Events } from "../core/events.ts";
import { type CompletionRecord, report } from "../core/run-events.ts";
import type { DataRow } from "../data/dataset.ts";
import { otherColumns } from "../data/forms/forms.ts";
import { checkAnswer } from "../reward/answer/accuracy.ts";
import type { Completion, Score } from "../reward/reward.ts";
import { formatReward } from "../reward/rewards/format.ts";
import type { RolloutGroup } from "./types.ts";

/** Returns what the records of runs say of a completion, its row and its rewards. */
export function completionRecord(
  { mediaNames: media, kind, question, options, answer, columns }: DataRow,
  { text, finished }: Completion,
  score: Score | undefined,
): CompletionRecord {
  const others = otherColumns(columns);
  return {
    ...{ media, kind, question, options, answer },
    ...(others && { columns: others }),
    ...{ text, finished },
    ...(score && {
      ...{ reward: score.total, rewards: score.components, reward_errors: score.failures },
    }),
  };
}

/** Facts about the completions of a step besides their rewards: one entry each, group by group. */
export interface Checks {
  /** By the reader of answers, which no format can please; null for rows without an answer. */
  correct: (boolean | null)[];
  /** True where no answer could be read. */
  unparsed: boolean[];
  /** True where the asked format is there. */
  formatted: boolean[];
}

/** Reads the answers of completions and their format, which are separate from the reward. */
export function checkGroups(groups: readonly Pick<RolloutGroup, "row" | "said">[]): Checks {
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

/** Answers, masks and advantages of a step's completions: one entry each, group by group. */
export interface Verdicts {
  correct: readonly (boolean | null)[];
  unparsed: readonly boolean[];
  masked: readonly boolean[];
  advantages: ArrayLike<number>;
}

/** Reports every completion as a `rollout` event. */
export function recordGroups(
  events: Events,
  groups: readonly RolloutGroup[],
  step: number,
  { correct, unparsed, masked, advantages }: Verdicts,
): void {
  let at = 0;
  for (const { row, draw, completions, said, scores } of groups) {
    completions.forEach(({ ids, logProbs, bannedMass }, index) => {
      report(events, "rollout", {
        ...{ step, sample: row.id, draw, completion: index },
        ...completionRecord(row, said[index]!, scores[index]),
        ...{ correct: correct[at]!, unparsed: unparsed[at]! },
        ...{ masked: masked[at]!, advantage: advantages[at]! },
        banned_mass: Math.max(...bannedMass),
        ids,
        log_probs: logProbs,
      });
      at++;
    });
  }
}
