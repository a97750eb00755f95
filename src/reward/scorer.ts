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

/** Scores groups with rewards that may take their time, and reports what failed. */
export class RewardScorer<Row extends RewardRow = RewardRow> {
  readonly #parts: readonly WeightedReward<Row, AsyncReward<Row>>[];
  readonly #events: Events | undefined;

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
   */
  async scoreGroups(groups: readonly RewardGroup<Row>[]): Promise<Score[][]> {
    const scores = await Promise.all(
      groups.map(({ row, completions }) =>
        Promise.all(completions.map((completion) => this.score(completion, row))),
      ),
    );
    this.#reportFailures(groups, scores);
    return scores;
  }

  /** The score of one completion; failures are in it and are not reported. */
  async score(completion: Completion, row: Row): Promise<Score> {
    const outcomes = await Promise.all(
      this.#parts.map(async ({ reward }): Promise<Outcome> => {
        try {
          return { value: await reward.score(completion, row) };
        } catch (error) {
          return failed(error);
        }
      }),
    );
    return addUp(this.#parts, outcomes);
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
