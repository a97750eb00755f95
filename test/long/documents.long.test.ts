import { afterAll, expect, it } from "vitest";
import { blocksOf, Clone, DOCUMENTS } from "../helpers/documents.ts";

const clone = new Clone();
afterAll(() => clone.remove());

// A clone gets its packages as a newcomer's does: by the commands of README, printed or not.
it.each(DOCUMENTS.flatMap(blocksOf).filter(({ when, file }) => when !== "by-hand" || file))(
  "$place does as printed",
  async (block) => {
    if (["sh", "ts"].includes(block.language) || block.file !== undefined) {
      expect(await clone.run(block)).toBeTypeOf("string");
    }
  },
  1_200_000,
);
