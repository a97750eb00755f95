import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { stringify } from "yaml";
import { type RunSummary, trainCommand } from "../../../src/cli/commands/train.ts";
import { TinyWorkplace } from "../../helpers/tiny-run.ts";

describe("a recipe of stages", () => {
  const place = new TinyWorkplace();
  const runs = mkdtempSync(join(tmpdir(), "aubade-stages-"));
  const clips = place.path("clips");
  let out = "";
  beforeAll(async () => {
    await place.make();
    const recipe = {
      task: "sft",
      model: { path: place.model },
      device: { tier: inject("tier").toUpperCase() },
      data: { name: "tiny", clips: 4, folder: clips },
      rollout: { max_completion_length: 5 },
      train: { max_steps: 2, prompts_per_step: 2, learning_rate: 1e-3, save_steps: 1 },
      output: { run_dir: join(runs, "recipe") },
      stages: [
        { name: "first", model: { path: place.model, init: "random" }, train: { seed: 1 } },
        { name: "adapters", train: { lora: { r: 2 } } },
        {
          ...{ name: "rewarded", task: "grpo", rewards: [{ name: "random" }] },
          train: { num_generations: 2, max_steps: 1 },
        },
      ],
    };
    writeFileSync(place.path("recipe.yaml"), stringify(recipe));
  });
  afterAll(async () => {
    rmSync(runs, { recursive: true, force: true });
    await place.remove();
  });
  beforeEach(() => {
    out = "";
    const write = (text: string | Uint8Array): boolean => {
      out += String(text);
      return true;
    };
    vi.spyOn(process.stdout, "write").mockImplementation(write);
    vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    return () => vi.restoreAllMocks();
  });

  const modelOf = (stage: string): string =>
    /^ {2}path: (.*)$/m.exec(readFileSync(join(runs, "recipe", stage, "config.yaml"), "utf8"))![1]!;

  it("runs them in turn, each on the model of the one before, and resumes what is not done", async () => {
    const stop = ["stages.rewarded.data.name=jsonl", "stages.rewarded.data.path=none.jsonl"];
    await expect(trainCommand([place.path("recipe.yaml"), "--json", ...stop])).rejects.toThrow(
      /none\.jsonl cannot be read/,
    );
    expect(modelOf("adapters")).toBe(join(runs, "recipe", "first", "model"));
    expect(await trainCommand([place.path("recipe.yaml"), "--resume", "--json"])).toBe(0);
    const summary = JSON.parse(out) as Record<string, RunSummary>;
    // Stages that were done stay as they were.
    expect(Object.keys(summary)).toEqual(["rewarded"]);
    expect(summary["rewarded"]).toMatchObject({ steps: 1, seed: 42 });
    expect(modelOf("rewarded")).toBe(join(runs, "recipe", "adapters", "merged"));
    await expect(trainCommand([place.path("recipe.yaml")])).rejects.toThrow(/already holds a run/);
  });

  it("is printed as one document a stage", async () => {
    expect(await trainCommand([place.path("recipe.yaml"), "--print-config"])).toBe(0);
    expect(out.split("\n---\n")).toHaveLength(3);
  });
});
