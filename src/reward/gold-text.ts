import { DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import { strip } from "../text/python.ts";
import { firstBlock } from "../text/tags.ts";
import type { RewardRow } from "./reward.ts";

/** Returns the right answer of a row: what its `<answer>` block holds, or all of it; stripped. */
export function goldOf(row: RewardRow): string {
  return strip(firstBlock(row.answer, "answer") ?? row.answer);
}

/**
 * Returns the right answer of a row whose answer must not be empty: an empty completion would equal
 * it.
 *
 * @throws {DataError} `gold-empty` that names the row.
 */
export function goldText(row: RewardRow): string {
  const gold = goldOf(row);
  if (gold !== "") return gold;
  throw emptyGold(row, "nothing");
}

/** Returns the error for a row whose answer leaves nothing to compare. */
export function emptyGold(row: RewardRow, what: string): DataError {
  const shown = quoted(row.answer);
  return new DataError(
    "gold-empty",
    `The answer of row ${row.id} is ${shown}: ${what} to compare.`,
    {
      hint: "Give the row its right answer, or another reward.",
    },
  );
}
