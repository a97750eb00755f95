import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { damaged, mediaSeeds, outcomeOf } from "./fuzz.ts";

/** Damaged copies of every file; hundreds are in test/long. */
const COPIES = 2;

const seeds = mediaSeeds();

test("whole files of every format are read", async () => {
  expect(seeds.length).toBeGreaterThan(70);
  for (const seed of seeds) {
    // Pillow, too, refuses to make RGB of grey with 16 bits.
    const want = seed.name.startsWith("grey-16.") ? "media-pixel-format" : "fine";
    expect(await outcomeOf(seed), seed.name).toBe(want);
  }
});

test.each(seeds.map((seed, index) => ({ ...seed, index })))(
  "$name damaged is read in part or refused by name, as $kind",
  async ({ index, ...seed }) => {
    for (let copy = 0; copy < COPIES; copy++) {
      const data = damaged(seed.data, new Random(copy, "data", index));
      expect(await outcomeOf({ ...seed, data })).toMatch(/^fine$|^media-/);
    }
  },
);
