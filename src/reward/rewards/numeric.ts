import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { LONGEST_NUMBER, readFloat, roundHundredths, strip } from "../../text/python.ts";
import { defineReward, type Reward, type RewardRow } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** Options of when two numbers are equal. */
export interface NumericOptions {
  /** Maximum difference that is still right; null with no other option keeps the source's rule. */
  tolerance?: number | null;
  /** Maximum difference as a share of the right number. */
  relative_tolerance?: number | null;
}

/**
 * 1 where the answer's number is the right one, 0 otherwise.
 *
 * Without options it is the source's rule: answer and right answer both or neither have a full stop
 * or a comma, commas are dropped, Python's float reads the rest, and both rounded to hundredths are
 * equal. So "1,000" is not 1000, "1e3" is, "50%" and "1/2" are none.
 *
 * With a tolerance it is |answer - right| <= max(tolerance, relative_tolerance * |right|); digits
 * may be grouped by commas, a percent sign divides by 100, and a/b is read as a fraction.
 *
 * Source: HumanMLLM/HumanOmniV2 `vlm_modules/qwenomni_module.py`, `accuracy_reward`, type
 * "numerical" (9bf0e6f, 2025-07-01); the tolerance is aubade's.
 *
 * @throws {DataError} `gold-not-a-number` when the row's answer is none; the source scores 0 then.
 */
export function numericReward(options: NumericOptions = {}): Reward {
  const { tolerance = null, relative_tolerance: relative = null } = options;
  const exact = tolerance === null && relative === null;
  return defineReward("numeric", ({ text }, row) => {
    const [said, gold] = [strip(firstBlock(text, "answer") ?? ""), goldOf(row)];
    if (exact) {
      const right = goldNumber(readPlain(gold), row);
      const value = readPlain(said);
      if (value === undefined || /[.,]/.test(said) !== /[.,]/.test(gold)) return 0;
      return roundHundredths(value) === roundHundredths(right) ? 1 : 0;
    }
    const right = goldNumber(readWide(gold), row);
    const value = readWide(said);
    if (value === undefined) return 0;
    const allowed = Math.max(tolerance ?? 0, (relative ?? 0) * Math.abs(right));
    return Math.abs(value - right) <= allowed ? 1 : 0;
  });
}

/**
 * Returns a number whose commas do not matter; undefined where there is none, or a text too long
 * for one.
 */
export function readPlain(text: string): number | undefined {
  const bare = strip(text);
  return bare.length > LONGEST_NUMBER ? undefined : readFloat(bare.replaceAll(",", ""));
}

/**
 * Returns a stripped number that may be grouped by commas, a percentage or a fraction; else
 * undefined.
 */
export function readWide(text: string): number | undefined {
  if (text.length > LONGEST_NUMBER) return undefined;
  const percent = text.endsWith("%");
  const parts = (percent ? text.slice(0, -1) : text).split("/", 3);
  const grouped = /^\s*[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?\s*$/;
  const values = parts.map((part) =>
    readFloat(grouped.test(part) ? part.replaceAll(",", "") : part),
  );
  if (values.includes(undefined) || parts.length > 2) return undefined;
  const value = (values[0]! / (values[1] ?? 1)) * (percent ? 0.01 : 1);
  return Number.isFinite(value) ? value : undefined;
}

/** Returns the right number of a row, which must be one. */
export function goldNumber(value: number | undefined, row: RewardRow): number {
  if (value !== undefined) return value;
  throw new DataError(
    "gold-not-a-number",
    `The answer of row ${row.id} is ${quoted(row.answer)}, which is no number.`,
    { hint: "Give the row another problem_type or reward." },
  );
}
