import { DataError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import {
  addUp,
  type AsyncReward,
  checkParts,
  type Completion,
  failed,
  type Outcome,
  type RewardRow,
  type Score,
  type WeightedReward,
} from "./reward.ts";

/** Completions of one row: the row's answer cannot reach another row's completions. */
export interface RewardGroup<Row extends RewardRow = RewardRow> {
  readonly row: Row;
  readonly completions: readonly Completion[];
}

/** Batches in a row after which a reward that fails for all completions ends the run. */
const LASTING = 3;

/** Scores groups with rewards that may take their time, and reports what failed. */
export class RewardScorer<Row extends RewardRow = RewardRow> {
  readonly #parts: readonly WeightedReward<Row, AsyncReward<Row>>[];
  readonly #events: Events | undefined;
  /** Calls in a row in which a reward failed for every completion, by name. */
  readonly #failedCalls = new Map<string, number>();

  /**
   * @param events hears one `warning` with code `reward-failed` for each reward that failed in a call.
   * @throws {ConfigError} when there is no reward, two have one name, or the weights make no sense.
   */
  constructor(parts: readonly WeightedReward<Row, AsyncReward<Row>>[], events?: Events) {
    checkParts(parts);
    this.#parts = parts;
    this.#events = events;
  }

  /** Names of the rewards, in the order in which they are added up. */
  get names(): string[] {
    return this.#parts.map(({ reward }) => reward.name);
  }

  /**
   * The scores of every completion, nested as the groups are. All rewards of all completions are
   * asked at once; a reward that must not be asked too often limits itself.
   *
   * @throws {DataError} `reward-always-fails` for one that failed for all completions of three calls
   *   in a row.
   */
  async scoreGroups(groups: readonly RewardGroup<Row>[]): Promise<Score[][]> {
    const scores = await Promise.all(groups.map((group) => this.#scoreGroup(group)));
    this.#reportFailures(groups, scores);
    this.#refuseLastingFailure(scores.flat());
    return scores;
  }

  /** The score of one completion; failures are in it and are not reported. */
  async score(completion: Completion, row: Row): Promise<Score> {
    return (await this.#scoreGroup({ row, completions: [completion] }))[0]!;
  }

  async #scoreGroup({ row, completions }: RewardGroup<Row>): Promise<Score[]> {
    const outcomes = await Promise.all(
      this.#parts.map(({ reward }) => outcomesOf(reward, completions, row)),
    );
    return completions.map((_, at) =>
      addUp(
        this.#parts,
        outcomes.map((ofReward) => ofReward[at]!),
      ),
    );
  }

  #refuseLastingFailure(scores: readonly Score[]): void {
    for (const name of this.names) {
      const failures = scores.flatMap((score) => score.failures[name] ?? []);
      const all = scores.length > 0 && failures.length === scores.length;
      const calls = all ? (this.#failedCalls.get(name) ?? 0) + 1 : 0;
      this.#failedCalls.set(name, calls);
      if (calls < LASTING) continue;
      throw new DataError(
        "reward-always-fails",
        `Reward "${name}" failed for all completions of ${calls} rollout batches in a row. The last time: ${failures[0]}`,
        {
          hint: "Correct the reward or the rows that it reads; the last checkpoint can be resumed.",
        },
      );
    }
  }

  #reportFailures(groups: readonly RewardGroup<Row>[], scores: readonly Score[][]): void {
    if (this.#events === undefined) return;
    const all = scores.flatMap((group, at) => group.map((score) => ({ score, at })));
    for (const name of this.names) {
      const failures = all.filter(({ score }) => Object.hasOwn(score.failures, name));
      const [first] = failures;
      if (first === undefined) continue;
      const row = groups[first.at]!.row.id;
      report(this.#events, "warning", {
        code: "reward-failed",
        message: `Reward "${name}" failed for ${failures.length} of ${all.length} completions, which have no score for it. The first time, in row ${row}: ${first.score.failures[name]}`,
      });
    }
  }
}

/** Asks one reward for all completions of a group: at once where it takes them so. */
async function outcomesOf<Row extends RewardRow>(
  reward: AsyncReward<Row>,
  completions: readonly Completion[],
  row: Row,
): Promise<Outcome[]> {
  if (reward.scoreGroup !== undefined) {
    try {
      const values = await reward.scoreGroup(completions, row);
      return values.map((value) => ({ value }));
    } catch (error) {
      return completions.map(() => failed(error));
    }
  }
  return Promise.all(
    completions.map(async (completion): Promise<Outcome> => {
      try {
        return { value: await reward.score(completion, row) };
      } catch (error) {
        return failed(error);
      }
    }),
  );
}
