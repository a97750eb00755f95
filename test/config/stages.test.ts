import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { loadStages } from "../../src/config/stages.ts";

const RECIPE = `task: sft
model: { path: base }
data: { name: jsonl, path: rows.jsonl }
train: { max_steps: 8, learning_rate: 1.0e-5 }
stages:
  - name: cold-start
    sft: { completion: "{solution}" }
  - name: grpo
    task: grpo
    extends: grpo.yaml
    train: { max_steps: 4 }
  - name: fresh
    model: { path: some/where/other }
`;
const FILES: Record<string, string> = {
  "recipes/r.yaml": RECIPE,
  "recipes/grpo.yaml": "train: { beta: 0.01, max_steps: 100 }\nrewards: [{ name: format }]\n",
  "recipes/one.yaml": "model: { path: m }\n",
};

const readText = async (path: string): Promise<string> => {
  const text = FILES[path];
  if (text === undefined) throw new Error("no such file");
  return text;
};

const load = (yaml: string, overrides: string[] = []) => {
  FILES["recipes/x.yaml"] = yaml;
  return loadStages("recipes/x.yaml", { readText, overrides });
};

describe("stages of a recipe", () => {
  it("lay their settings over what they extend and the rest of the file", async () => {
    const stages = (await loadStages("recipes/r.yaml", { readText }))!;
    expect(stages.map(({ name, continues }) => [name, continues])).toEqual([
      ["cold-start", false],
      ["grpo", true],
      ["fresh", false],
    ]);
    const [first, second, third] = stages.map(({ config }) => config);
    expect(first).toMatchObject({ task: "sft", sft: { completion: "{solution}" } });
    expect(second).toMatchObject({ task: "grpo", train: { beta: 0.01, max_steps: 4 } });
    expect(second!.train.learning_rate).toBe(1e-5);
    expect(third!.model.path).toMatch(/\/recipes\/some\/where\/other$/);
    expect(third!.train.max_steps).toBe(8);
  });

  it("take overrides, of all stages and of one", async () => {
    const overrides = ["train.seed=9", "stages.grpo.train.max_steps=2"];
    const stages = (await loadStages("recipes/r.yaml", { readText, overrides }))!;
    expect(stages.map(({ config }) => [config.train.seed, config.train.max_steps])).toEqual([
      [9, 8],
      [9, 2],
      [9, 8],
    ]);
  });

  it("are none of a single run, and no single run", async () => {
    expect(await loadStages("recipes/one.yaml", { readText })).toBeUndefined();
    await expect(loadConfig("recipes/r.yaml", { readText })).rejects.toMatchObject({
      code: "staged",
    });
  });

  it.each([
    ["model: { path: m }\nstages: 3\n", [], /^Stages is 3 \(recipes\/x.yaml:2\)\. Give a list/],
    ["model: { path: m }\nstages: []\n", [], /^Stages is/],
    ["stages: [{ name: a b }]\n", [], /name of stage 0 is "a b" \(recipes\/x.yaml:1\)/],
    ["stages: [{ name: a }, { name: a }]\n", [], /^Two stages are called a/],
    [
      "model: { path: m }\nstages: [{ name: a }]\n",
      ["stages.b.train.seed=1"],
      /names no stage\. Stages: a\./,
    ],
    [
      "model: { path: m }\noutput: { export_dtype: null }\nstages: [{ name: a }, { name: b }]\n",
      [],
      /Stage b goes on with the model of a, which leaves none\./,
    ],
    [
      "model: { path: m }\nstages:\n  - name: a\n    train: { learning_rate: -1 }\n",
      [],
      /train\.learning_rate is -1.*\(recipes\/x\.yaml:4\)/,
    ],
  ])("are refused with their place: %j", async (yaml, overrides, message) => {
    await expect(load(yaml, overrides)).rejects.toThrow(message);
  });
});
