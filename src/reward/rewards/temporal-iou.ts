import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { defineReward, type Reward } from "../reward.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** A span of seconds, as `[12.5, 19]`. */
const SPAN = /\[(\d+(?:\.\d*)?),\s*(\d+(?:\.\d*)?)\]/g;

/**
 * Intersection over union of the time that the spans `[start, end]` of answer and right answer
 * cover, 0 to 1. Time that several spans cover counts once; a span that ends before it begins counts
 * nothing. The answer is the first block; without one it is empty.
 *
 * Source: HarryHsing/EchoInk `src/open_r1/grpo.py`, type "temporal retrieval" (3f6d16a, 2025-05-19).
 * That sums over pairs of spans instead, so that naming the right span k times earns k; both agree
 * where the spans of each side do not overlap.
 *
 * @throws {DataError} `gold-without-span` when the row's answer names no time.
 */
export const temporalIouReward: Reward = defineReward("temporal-iou", ({ text }, row) => {
  const right = covered(goldOf(row));
  const said = covered(firstBlock(text, "answer") ?? "");
  const [rightLength, saidLength] = [lengthOf(right), lengthOf(said)];
  if (rightLength === 0) {
    throw new DataError(
      "gold-without-span",
      `The answer of row ${row.id} is ${quoted(row.answer)}, which names no span of time.`,
      { hint: "Write it as [start, end] in seconds, start before end." },
    );
  }
  const shared = sharedLength(right, said);
  return shared / (rightLength + saidLength - shared);
});

type Span = [start: number, end: number];

/** Returns the spans of a text in their order, those that touch made one. */
function covered(text: string): Span[] {
  const spans = Array.from(text.matchAll(SPAN), ([, start, end]): Span => [+start!, +end!])
    .filter(([start, end]) => end > start && end < Infinity)
    .sort((a, b) => a[0] - b[0]);
  const merged: Span[] = [];
  for (const [start, end] of spans) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

function lengthOf(spans: readonly Span[]): number {
  return spans.reduce((sum, [start, end]) => sum + (end - start), 0);
}

/** Returns the time that both cover; each side's spans are in order and apart. */
function sharedLength(a: readonly Span[], b: readonly Span[]): number {
  let [sum, i, j] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [first, second] = [a[i]!, b[j]!];
    sum += Math.max(0, Math.min(first[1], second[1]) - Math.max(first[0], second[0]));
    if (first[1] < second[1]) i++;
    else j++;
  }
  return sum;
}
