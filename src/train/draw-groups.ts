import { spreadOf } from "../core/spread.ts";
import type { DataRow } from "../data/dataset.ts";
import type { Sample } from "../prompt/sample.ts";
import { rollOut, type RolloutGroup, type RolloutSetup } from "./rollout-batch.ts";

/** The groups of a step, and what it took to get them. */
export interface DrawnGroups {
  groups: RolloutGroup[];
  batches: number;
  /** Draws that were used: more than batches where a row came twice in one. */
  draws: number;
  /** Sampled tokens of all batches, those of groups that were dropped too. */
  sampled: number;
  /** Samples whose features the generator holds, if those of all groups; undefined otherwise. */
  held: readonly Sample[] | undefined;
}

/** What a step asks for. */
export interface DrawOptions {
  /** Gives the next rows of the run. */
  next: (count: number) => readonly DataRow[] | Promise<readonly DataRow[]>;
  /** Groups that a step has. */
  wanted: number;
  /** Number of the step. */
  step: number;
  /** The draw counter of its first batch. */
  draw: number;
  /** Whether every reward teaches by itself (`gdpo`), so that equal sums may still do. */
  byComponent: boolean;
}

/**
 * Rolls out until enough groups teach something, or the bound on batches is reached: groups whose
 * rewards are all equal then fill the step up, so that its size never changes.
 *
 * Source: Yu et al. 2025 (DAPO), dynamic sampling.
 */
export async function drawGroups(
  setup: RolloutSetup,
  { next, wanted, step, draw, byComponent }: DrawOptions,
): Promise<DrawnGroups> {
  const { over_sampling: over, max_batches_per_step: limit } = setup.rollout;
  const useful: RolloutGroup[] = [];
  const level: RolloutGroup[] = [];
  const drawn: Omit<DrawnGroups, "groups"> = { batches: 0, draws: 0, sampled: 0, held: undefined };
  while (drawn.batches < limit && useful.length < wanted) {
    const rows = await next(rowsToAsk(wanted - useful.length, over));
    const groups = await rollOut(setup, rows, { draw: draw + drawn.draws, step });
    drawn.batches++;
    drawn.draws = 1 + Math.max(...groups.map((group) => group.draw)) - draw;
    const { held } = setup.generator;
    drawn.held = drawn.batches === 1 && held.length === rows.length ? held : undefined;
    for (const group of groups) {
      drawn.sampled += group.completions.reduce((sum, { ids }) => sum + ids.length, 0);
      (isLevel(group, byComponent) ? level : useful).push(group);
    }
    // There is no choice to make: the groups stay in the order of their rows.
    if (groups.length === wanted && limit === 1) return { ...drawn, groups };
  }
  return { ...drawn, groups: [...useful, ...level].slice(0, wanted) };
}

/** Rows to ask for where so many groups are wanted. */
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
