import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import { parseModelConfig } from "../../src/families/registry.ts";

const FILES = [
  "assets/tiny/config.json",
  "test/golden/vl/tiny-a/config.json",
  "test/golden/qwen2-audio/tiny-a/config.json",
];
const ODD = [0, -1, 1.5, 2 ** 31, 4e9, 2 ** 53, 1e300];

type Tree = Record<string, unknown>;

/** Paths of all numbers of a configuration. */
function numbersOf(tree: Tree, above: string[] = []): string[][] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (typeof value === "number") return [[...above, key]];
    return typeof value === "object" && value !== null
      ? numbersOf(value as Tree, [...above, key])
      : [];
  });
}

test.each(FILES)("%s with any number wrong is read or refused by name, at once", (file) => {
  const text = readFileSync(file, "utf8");
  let refused = 0;
  const paths = numbersOf(JSON.parse(text) as Tree);
  for (const path of paths) {
    for (const value of ODD) {
      const config = JSON.parse(text) as Tree;
      let place = config;
      for (const key of path.slice(0, -1)) place = place[key] as Tree;
      place[path.at(-1)!] = value;
      try {
        parseModelConfig(JSON.stringify(config));
      } catch (error) {
        expect(error, `${path.join(".")} is ${value}`).toBeInstanceOf(CheckpointError);
        refused++;
      }
    }
  }
  // Ids of tokens may be any whole number; every size refuses most of these.
  expect(refused / (paths.length * ODD.length)).toBeGreaterThan(0.5);
});
