import { expect, it } from "vitest";
import { fuzzSafetensors } from "../helpers/safetensors-fuzz.ts";

it("10,000 mutated files and folders are read byte for byte or refused by name", async () => {
  const { read, refused } = await fuzzSafetensors(0, 10_000);
  process.stdout.write(`safetensors: ${read} mutants read, ${refused} refused.\n`);
  expect(read).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(4000);
});
