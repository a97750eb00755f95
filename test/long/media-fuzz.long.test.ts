import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { damaged, mediaSeeds, outcomeOf } from "../media/fuzz.ts";

/** Damaged copies of every file. Some make no progress, which takes three seconds each. */
const COPIES = 60;

test.each(mediaSeeds().map((seed, index) => ({ ...seed, index })))(
  "$name damaged in many ways is read in part or refused by name, as $kind",
  async ({ index, ...seed }) => {
    for (let copy = 100; copy < 100 + COPIES; copy++) {
      const data = damaged(seed.data, new Random(copy, "data", index));
      expect(await outcomeOf({ ...seed, data }), `copy ${copy}`).toMatch(/^fine$|^media-/);
    }
  },
);
