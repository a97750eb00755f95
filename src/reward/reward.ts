import { ConfigError, DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";

/** A completion, as rewards see it. */
export interface Completion {
  /** Decoded text with every token kept but the end token that closed it. */
  readonly text: string;
  /** The generated token ids, with the end token if there is one. */
  readonly ids: readonly number[];
  /** True when the model closed the completion with an end token within the limit. */
  readonly finished: boolean;
  /** Place of the completion in its group. */
  readonly index: number;
  /** Which draw of its sample the group is. */
  readonly draw: number;
}

/** A row, as rewards see it. */
export interface RewardRow {
  readonly id: string;
  /** The right answer: for a choice the letter or the words of an option; empty without one. */
  readonly answer: string;
  /** Place of the right option from 0, where the data set gives that instead of an `answer`. */
  readonly answer_index?: number;
  /** The options of a choice, in the order of their letters. */
  readonly options?: readonly string[];
  /** The question without its options, which a judge is told. */
  readonly question?: string;
  /**
   * The kind of answer that is asked for, as data sets name it: "multiple choice", "numerical", ...
   */
  readonly problem_type?: string;
  /** Every key of the row as its data set has it. */
  readonly columns?: Readonly<Record<string, unknown>>;
}

/** A named judgement of a completion, at once: a pure function of the completion and its row. */
export interface Reward<Row extends RewardRow = RewardRow> {
  readonly name: string;
  /** A finite number, usually 0 to 1, or null when the reward does not apply to the row. */
  score(completion: Completion, row: Row): number | null;
}

/** A named judgement of a completion that may take its time, such as a judge's. */
export interface AsyncReward<Row extends RewardRow = RewardRow> {
  readonly name: string;
  /** True where rows must have an answer, which is checked before a run; default false. */
  readonly needsAnswer?: boolean;
  /** As `Reward.score`, or a promise of it. */
  score(completion: Completion, row: Row): number | null | Promise<number | null>;
  /** Scores all completions of a group at once, in their order; in its place `score` is not asked. */
  scoreGroup?(
    completions: readonly Completion[],
    row: Row,
  ): readonly (number | null)[] | Promise<readonly (number | null)[]>;
}

/** A reward and its factor in the sum; `Kind` is `AsyncReward` where rewards may take time. */
export interface WeightedReward<
  Row extends RewardRow = RewardRow,
  Kind extends AsyncReward<Row> = Reward<Row>,
> {
  readonly reward: Kind;
  readonly weight: number;
}

/** A completion's reward with its parts. */
export interface Score {
  /**
   * Sum of `weighted` in its order, bit for bit; null when no reward applies, or when one with a
   * weight failed: the completion then counts in no group, since a sum without that part is wrong.
   */
  readonly total: number | null;
  /** Each reward's own number by name, before its weight; null where none applies or it failed. */
  readonly components: Readonly<Record<string, number | null>>;
  /** Weight times number of the rewards that apply, in the order of the rewards. */
  readonly weighted: Readonly<Record<string, number>>;
  /** Why rewards failed, by name; empty when none did. */
  readonly failures: Readonly<Record<string, string>>;
}

/** The outcome of one reward: a number, null where it does not apply, or why it failed. */
export type Outcome = { value: number | null } | { failure: string };

/**
 * Makes a reward from a name and a function, which may return a promise.
 *
 * @throws {ConfigError} when the name is not kebab-case.
 * @example
 * const short = defineReward("short", ({ ids }) => (ids.length < 100 ? 1 : 0));
 */
export function defineReward<Row extends RewardRow = RewardRow>(
  name: string,
  score: (completion: Completion, row: Row) => number | null,
): Reward<Row>;
/** Makes a reward that may take its time from a name and a function. */
export function defineReward<Row extends RewardRow = RewardRow>(
  name: string,
  score: (completion: Completion, row: Row) => number | null | Promise<number | null>,
): AsyncReward<Row>;
/** Makes a reward from a name and a function; see the overloads. */
export function defineReward<Row extends RewardRow>(
  name: string,
  score: (completion: Completion, row: Row) => number | null | Promise<number | null>,
): AsyncReward<Row> {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new ConfigError("reward-name", `A reward cannot be called ${quoted(name)}.`, {
      hint: 'Use lower-case words joined by hyphens, such as "letter-order".',
    });
  }
  return {
    name,
    score(completion, row) {
      const value = score(completion, row);
      if (!(value instanceof Promise)) return checkValue(name, value, completion, row);
      return value.then((settled) => checkValue(name, settled, completion, row));
    },
  };
}

/**
 * Makes a reward that sees all completions of a row at once, such as one that compares them.
 *
 * @param scoreGroup returns a number for each completion, in their order, or null where the reward
 *   does not apply; or a promise of the list.
 * @throws {ConfigError} when the name is not kebab-case.
 * @example
 * const shortest = defineGroupReward("shortest", (completions) => {
 *   const least = Math.min(...completions.map(({ ids }) => ids.length));
 *   return completions.map(({ ids }) => (ids.length === least ? 1 : 0));
 * });
 */
export function defineGroupReward<Row extends RewardRow = RewardRow>(
  name: string,
  scoreGroup: NonNullable<AsyncReward<Row>["scoreGroup"]>,
): AsyncReward<Row> {
  const checked = async (completions: readonly Completion[], row: Row) => {
    const values: unknown = await scoreGroup(completions, row);
    if (!Array.isArray(values) || values.length !== completions.length) {
      const given = Array.isArray(values) ? `a list of ${values.length}` : show(values);
      throw new DataError(
        "reward-value",
        `Reward "${name}" gave ${given} for the ${completions.length} completions of row ${row.id}.`,
        { hint: "Return a list with a number, or null, for each completion." },
      );
    }
    return values.map((value, at) => checkValue(name, value, completions[at]!, row));
  };
  const single = defineReward<Row>(
    name,
    async (completion, row) => (await checked([completion], row))[0]!,
  );
  return { ...single, scoreGroup: checked };
}

function checkValue(
  name: string,
  value: unknown,
  { index }: Completion,
  row: RewardRow,
): number | null {
  if (value === null || (typeof value === "number" && Number.isFinite(value))) return value;
  throw new DataError(
    "reward-value",
    `Reward "${name}" gave ${show(value)} for completion ${index} of row ${row.id}.`,
    { hint: "Return a finite number, or null where the reward does not apply." },
  );
}

function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" && typeof value !== "string")
    return `a value of type ${typeof value}`;
  let text = "an object";
  try {
    text = JSON.stringify(value);
  } catch {
    // A circle, or a bigint within.
  }
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Returns the same reward under another name, which metrics and records then use. */
export function renameReward<Row extends RewardRow>(
  reward: AsyncReward<Row>,
  name: string,
): AsyncReward<Row> {
  if (reward.scoreGroup !== undefined) {
    return defineGroupReward<Row>(name, (all, row) => reward.scoreGroup!(all, row));
  }
  return defineReward<Row>(name, (completion, row) => reward.score(completion, row));
}

/** Returns the same reward for rows of some problem types; it does not apply to others. */
export function onlyFor<Row extends RewardRow>(
  reward: AsyncReward<Row>,
  problemTypes: readonly string[],
): AsyncReward<Row> {
  const { name } = reward;
  const applies = (row: Row) => problemTypes.includes(row.problem_type ?? "");
  if (reward.scoreGroup !== undefined) {
    return defineGroupReward<Row>(name, (completions, row) =>
      applies(row) ? reward.scoreGroup!(completions, row) : completions.map(() => null),
    );
  }
  return defineReward<Row>(name, (completion, row) =>
    applies(row) ? reward.score(completion, row) : null,
  );
}

/** Turns an error into the outcome of a reward. */
export function failed(error: unknown): Outcome {
  return { failure: error instanceof Error ? error.message : String(error) };
}

/** Returns the score of a completion from what each of its rewards gave, in the rewards' order. */
export function addUp(
  parts: readonly { reward: { name: string }; weight: number }[],
  outcomes: readonly Outcome[],
): Score {
  const components: Record<string, number | null> = {};
  const weighted: Record<string, number> = {};
  const failures: Record<string, string> = {};
  let total: number | null = null;
  let whole = true;
  parts.forEach(({ reward: { name }, weight }, at) => {
    const outcome = outcomes[at]!;
    components[name] = "value" in outcome ? outcome.value : null;
    if ("failure" in outcome) {
      failures[name] = outcome.failure;
      whole &&= weight === 0;
    } else if (outcome.value !== null) {
      const part = weight * outcome.value;
      const sum = (total ?? 0) + part;
      if (Number.isFinite(sum)) {
        weighted[name] = part;
        total = sum;
      } else {
        failures[name] = `${outcome.value} with weight ${weight} makes the sum ${sum}.`;
        whole = false;
      }
    }
  });
  return { total: whole ? total : null, components, weighted, failures };
}

/**
 * Checks that rewards can be added up.
 *
 * @throws {ConfigError} when there is no reward, two have one name, or the weights make no sense.
 */
export function checkParts(parts: readonly { reward: { name: string }; weight: number }[]): void {
  const names = new Set<string>();
  for (const { reward, weight } of parts) {
    if (names.has(reward.name)) {
      throw new ConfigError("reward-twice", `Reward "${reward.name}" is listed twice.`, {
        hint: "List it once, with the sum of its weights, or give one another name by `as`.",
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
