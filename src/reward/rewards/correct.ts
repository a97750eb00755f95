import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { lettersOf } from "../answer/choice.ts";
import { strictLetter } from "./format.ts";
import { goldLetter } from "../answer/gold.ts";
import { defineReward } from "../reward.ts";

/**
 * 1 for the right letter in the whole pattern of `formatReward`, 0 otherwise.
 *
 * A reward to train on. To measure, use `checkAnswer`, which does not depend on the format.
 *
 * @throws {DataError} `gold-not-an-option` when the row's answer is none of its options, which no
 * completion could name.
 */
export const letterReward = defineReward("correct", (completion, row) => {
  const right = goldLetter(row);
  if (right !== undefined) return strictLetter(completion, row) === right ? 1 : 0;
  const letters = lettersOf(row);
  throw new DataError(
    "gold-not-an-option",
    `The answer of row ${row.id} is ${quoted(row.answer)}, which is none of its options ${letters.at(0) ?? ""} to ${letters.at(-1) ?? ""}.`,
    { hint: "Give the row its options, or another reward." },
  );
});
