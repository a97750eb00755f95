import { spreadOf } from "../core/spread.ts";
import { rollOut, type RolloutSetup } from "../rollout/roll-out.ts";
import type { RolloutGroup } from "../rollout/types.ts";
import type { LeftOut, RowSource } from "./row-feed.ts";

/** The groups of a step, and what it took to get them. */
export interface DrawnGroups {
  groups: RolloutGroup[];
  batches: number;
  /** Draws that were used: more than batches where a row came twice in one. */
  draws: number;
  /** Sampled tokens of all batches, those of groups that were dropped too. */
  sampled: number;
  /** Place of the run behind the rows that were used. */
  end: number;
  /** Rows between that were left out. */
  leftOut: LeftOut;
}

/** The groups that a step asks for. */
export interface DrawOptions {
  /** Place of the run from which its rows come. */
  place: number;
  /** Groups that a step has. */
  wanted: number;
  /** Number of the step. */
  step: number;
  /** The draw counter of its first batch. */
  draw: number;
  /** True where every reward teaches by itself (`gdpo`), so that equal sums may still do. */
  byComponent: boolean;
  /** `rollout.over_sampling` and `rollout.max_batches_per_step`. */
  over: number;
  limit: number;
}

/**
 * Rolls out until enough groups teach something, or the bound on batches is reached: groups whose
 * rewards are all equal then fill the step up, so that its size never changes.
 *
 * Source: Yu et al. 2025 (DAPO), dynamic sampling.
 */
export async function drawGroups(
  setup: RolloutSetup,
  feed: Pick<RowSource, "from">,
  { place, wanted, step, draw, byComponent, over, limit }: DrawOptions,
): Promise<DrawnGroups> {
  const useful: RolloutGroup[] = [];
  const level: RolloutGroup[] = [];
  const leftOut = { over_budget: 0, unreadable: 0 };
  const drawn = { batches: 0, draws: 0, sampled: 0, end: place, leftOut };
  while (drawn.batches < limit && useful.length < wanted) {
    const fed = await feed.from(drawn.end, rowsToAsk(wanted - useful.length, over));
    drawn.end = fed.end;
    leftOut.over_budget += fed.leftOut.over_budget;
    leftOut.unreadable += fed.leftOut.unreadable;
    const groups = await rollOut(setup, fed.rows, { draw: draw + drawn.draws, step });
    drawn.batches++;
    drawn.draws = 1 + Math.max(...groups.map((group) => group.draw)) - draw;
    for (const group of groups) {
      drawn.sampled += group.completions.reduce((sum, { ids }) => sum + ids.length, 0);
      (isLevel(group, byComponent) ? level : useful).push(group);
    }
    // There is no choice to make: the groups stay in the order of their rows.
    if (groups.length === wanted && limit === 1) return { ...drawn, groups };
  }
  return { ...drawn, groups: [...useful, ...level].slice(0, wanted) };
}

/** Returns how many rows to ask for where so many groups are wanted. */
export function rowsToAsk(wanted: number, overSampling: number): number {
  // 10 x 1.1 is 11.000000000000002, which asks for 11 rows.
  return Math.ceil(wanted * overSampling - 1e-9);
}

/**
 * Tells whether a group teaches nothing, since its completions' rewards are equal up to rounding.
 *
 * @param byComponent asks it of every reward by itself and not of their sum.
 */
export function isLevel({ scores }: Pick<RolloutGroup, "scores">, byComponent: boolean): boolean {
  const level = (values: readonly (number | null)[]) =>
    spreadOf(values.filter((value) => value !== null)).level;
  if (!byComponent) return level(scores.map(({ total }) => total));
  const names = Object.keys(scores[0]?.components ?? {});
  return names.every((name) => level(scores.map(({ components }) => components[name] ?? null)));
}
