import { afterAll, expect, it } from "vitest";
import { blocksOf, Clone } from "../helpers/documents.ts";

// README as a newcomer follows it: a clone without packages, its two commands, and what comes after.
const clone = new Clone(false);
afterAll(() => clone.remove());

const blocks = blocksOf("README.md").filter(
  ({ when, language, file }) => when !== "by-hand" && (language === "sh" || file !== undefined),
);

it.each(blocks)(
  "$place does as printed",
  async (block) => {
    expect(await clone.run(block)).toBeTypeOf("string");
  },
  1_200_000,
);
