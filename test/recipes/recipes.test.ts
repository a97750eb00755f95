import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import { loadStages } from "../../src/config/stages.ts";
import { FACTS } from "./facts.ts";

const readText = (path: string): Promise<string> => readFile(path, "utf8");
const files = ["recipes", "evals"].flatMap((folder) =>
  readdirSync(`configs/${folder}`).map((file) => `configs/${folder}/${file}`),
);

/** The configurations of a file: one, or one a stage. */
async function load(file: string): Promise<Map<string, RunConfig>> {
  const stages = await loadStages(file, { readText });
  if (stages !== undefined) return new Map(stages.map(({ name, config }) => [`#${name}`, config]));
  return new Map([["", await loadConfig(file, { readText })]]);
}

function valueAt(config: RunConfig, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], config);
}

describe.each(files)("%s", (file) => {
  it("loads, and its head says the command, what is published and what is measured", async () => {
    const configs = await load(file);
    expect(configs.size).toBeGreaterThan(0);
    const head = readFileSync(file, "utf8").split("\n\n")[0]!.replaceAll("\n# ", " ");
    expect(head).toMatch(/node (train|eval)\.js configs\//);
    expect(head).toContain(file);
    expect(head).toMatch(/Published/);
    expect(head).toContain("Measured here: not yet");
  });
});

describe("settings that a source publishes", () => {
  it.each(Object.entries(FACTS))("are those of %s", async (name, facts) => {
    const [recipe, stage] = name.split("#");
    const configs = await load(`configs/recipes/${recipe}.yaml`);
    const config = configs.get(stage === undefined ? "" : `#${stage}`)!;
    for (const { key, value, source } of facts) {
      expect(valueAt(config, key), `${key}: ${source}`).toEqual(value);
    }
  });
});
