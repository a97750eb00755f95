import { expect, it } from "vitest";
import { checkWide } from "../helpers/wide-check.ts";

const CASES = [
  ["vl-3b", "t0"],
  ["vl-3b", "t1"],
  ["omni-7b", "t1"],
  ["qwen2-audio-7b", "t1"],
] as const;

it.each(CASES)("%s on %s: real widths in 16-bit storage equal transformers", async (name, tier) => {
  const report = await checkWide(name, tier);
  console.log(name, tier, report);
  expect(Object.keys(report).length).toBeGreaterThan(3);
});
