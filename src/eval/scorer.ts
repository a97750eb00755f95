import { z } from "zod";
import { ConfigError } from "../core/errors.ts";
import type { DataRow, Scorer } from "../data/dataset.ts";
import { checkAnswer } from "../reward/answer/accuracy.ts";
import { REGISTERED_REWARDS, type RegisteredName } from "../reward/registry.ts";
import { formatReward } from "../reward/rewards/format.ts";

const SCORING = Object.entries(REGISTERED_REWARDS)
  .filter(([, { measures }]) => measures === "correctness")
  .map(([name]) => name as RegisteredName);

/** The schema of a scorer that a benchmark names in place of its data set's own. */
export const scorerSchema = z
  .strictObject({
    name: z
      .enum(SCORING as [RegisteredName, ...RegisteredName[]])
      .describe("A reward of correctness, whose mean is the headline (docs/rewards.md)."),
    options: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("Options of that reward, such as `tolerance` of `numeric`."),
  })
  .nullable()
  .default(null)
  .describe(
    "What scores answers; null takes the data set's own scorer, or else a lenient parser that reads " +
      "the right answer in any form.",
  );

/** A scorer that a benchmark names. */
export type ScorerConfig = z.output<typeof scorerSchema>;

/**
 * Scores answers with the reader of answers, so that format cannot pay, and counts rows by their
 * kind; the shares in the asked format and without a readable answer are measures of their own.
 */
export const ANSWERS: Scorer = {
  score(completion, row) {
    const { correct, unparsed } = checkAnswer(completion.text, row);
    return {
      overall: correct === true ? 1 : 0,
      format: formatReward.score(completion, row) ?? 0,
      unparsed: unparsed === undefined ? 0 : 1,
    };
  },
  categories: (row: DataRow) => [row.kind],
};

/**
 * Makes the scorer that a benchmark names: a reward of correctness, whose number is the headline.
 *
 * @throws {ConfigError} `scorer-options` for options that the reward does not take.
 */
export function namedScorer(benchmark: string, config: NonNullable<ScorerConfig>): Scorer {
  const entry = REGISTERED_REWARDS[config.name];
  const checked = entry.options.safeParse(config.options);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    const takes = Object.keys(entry.options.shape).join(", ") || "none";
    throw new ConfigError(
      "scorer-options",
      `The scorer ${config.name} of ${benchmark} has wrong options: ${issue!.message}.`,
      { hint: `It takes ${takes}.` },
    );
  }
  const reward = entry.make(config.options, { seed: 0 });
  return {
    async score(completion, row) {
      return {
        overall: (await reward.score(completion, row)) ?? 0,
        format: formatReward.score(completion, row) ?? 0,
      };
    },
    categories: (row) => [row.kind],
  };
}
