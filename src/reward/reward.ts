import { ConfigError, DataError } from "../core/errors.ts";

/** What a rollout produced. */
export interface Completion {
  /** Decoded text with every token kept but the end token that closed it. */
  readonly text: string;
  /** The generated token ids, with the end token if there is one. */
  readonly ids: readonly number[];
  /** Whether the model closed the completion with an end token within the limit. */
  readonly finished: boolean;
  /** Place of the completion in its group. */
  readonly index: number;
  /** Which draw of its sample the group is. */
  readonly draw: number;
}

/** What rewards need to know of a row. */
export interface RewardRow {
  readonly id: string;
  /** The right answer: for a choice its letter. */
  readonly answer: string;
  /** The options of a choice, in the order of their letters. */
  readonly options?: readonly string[];
}

/** A named judgement of a completion. */
export interface Reward<Row extends RewardRow = RewardRow> {
  readonly name: string;
  /** A finite number, usually 0 to 1, or null when the reward does not apply to the row. */
  score(completion: Completion, row: Row): number | null;
}

/** A reward and its factor in the sum. */
export interface WeightedReward<Row extends RewardRow = RewardRow> {
  readonly reward: Reward<Row>;
  readonly weight: number;
}

/** A completion's reward with its parts. */
export interface Score {
  /** Weighted sum of the parts that apply; null when none does, and the completion is left out. */
  readonly total: number | null;
  /** Each reward's own number by name, before its weight. */
  readonly components: Readonly<Record<string, number | null>>;
}

/**
 * Makes a reward from a name and a function.
 *
 * @throws {ConfigError} when the name is not kebab-case.
 * @example
 * const short = defineReward("short", ({ ids }) => (ids.length < 100 ? 1 : 0));
 */
export function defineReward<Row extends RewardRow = RewardRow>(
  name: string,
  score: (completion: Completion, row: Row) => number | null,
): Reward<Row> {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new ConfigError("reward-name", `A reward cannot be called ${JSON.stringify(name)}.`, {
      hint: 'Use lower-case words joined by hyphens, such as "letter-order".',
    });
  }
  return {
    name,
    score(completion, row) {
      const value = score(completion, row);
      if (value === null || Number.isFinite(value)) return value;
      throw new DataError(
        "reward-value",
        `Reward "${name}" gave ${value} for completion ${completion.index} of row ${row.id}.`,
        { hint: "Return a finite number, or null where the reward does not apply." },
      );
    },
  };
}

/**
 * Adds rewards up, and keeps every part: correctness and format stay separate numbers.
 *
 * @throws {ConfigError} when there is no reward, two have one name, or the weights make no sense.
 */
export function combineRewards<Row extends RewardRow>(
  parts: readonly WeightedReward<Row>[],
): (completion: Completion, row: Row) => Score {
  checkParts(parts);
  return (completion, row) => {
    const components: Record<string, number | null> = {};
    let total: number | null = null;
    for (const { reward, weight } of parts) {
      const value = reward.score(completion, row);
      components[reward.name] = value;
      if (value !== null) total = (total ?? 0) + weight * value;
    }
    return { total, components };
  };
}

function checkParts(parts: readonly WeightedReward<never>[]): void {
  const names = new Set<string>();
  for (const { reward, weight } of parts) {
    if (names.has(reward.name)) {
      throw new ConfigError("reward-twice", `Reward "${reward.name}" is listed twice.`, {
        hint: "List it once, with the sum of its weights.",
      });
    }
    names.add(reward.name);
    if (!Number.isFinite(weight)) {
      throw new ConfigError("reward-weight", `Reward "${reward.name}" has weight ${weight}.`, {
        hint: "Give it a finite number.",
      });
    }
  }
  if (parts.every(({ weight }) => weight === 0)) {
    const found = parts.length === 0 ? "There is no reward" : "All rewards have weight 0";
    throw new ConfigError("no-reward", `${found}; every advantage would be 0.`, {
      hint: "Give at least one reward a weight other than 0.",
    });
  }
}
