import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, inject, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import { loadStages } from "../../src/config/stages.ts";
import type { RunEvent } from "../../src/core/run-events.ts";
import { train } from "../../src/run/train.ts";
import { logRows } from "../helpers/run-files.ts";
import { fixtureFolder } from "./fixture-folder.ts";

/** Recipes, one of each code path, and the data set of their validation. */
const RECIPES: [recipe: string, data: string, asked: string | null][] = [
  ["omni-7b-intent", "intent-train", "intent-bench"],
  ["omni-7b-intent-aligned", "intent-train", "intent-bench"],
  ["omni-3b-intent-lora", "intent-train", "intent-bench"],
  ["omni-7b-vanilla-sft", "intent-train", "intent-bench"],
  ["omni-7b-context", "intent-train", null],
  ["vl-3b-video", "conversations", null],
  ["omni-3b-avqa", "avqa", "mmau"],
];

describe("a recipe on the tiny model and rows of its data set's form", () => {
  const root = mkdtempSync(join(tmpdir(), "aubade-recipes-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const readText = (path: string): Promise<string> => readFile(path, "utf8");

  /** The recipe as it is but for its model, its sizes and where its files are. */
  async function shrunk(recipe: string, data: string, asked: string | null): Promise<RunConfig[]> {
    const overrides = [
      ...["model.path=assets/tiny", `data.path=${await fixtureFolder(root, data)}`],
      ...[`device.tier=${inject("tier").toUpperCase()}`, "rollout.max_completion_length=6"],
      ...["train.max_steps=2", "train.prompts_per_step=1", "train.num_generations=2"],
      ...["train.num_minibatches=1", "train.save_steps=1", "train.eval_steps=1"],
    ];
    if (data === "intent-train") overrides.push("data.video={nframes: 4}");
    if (recipe.includes("intent")) overrides.push("data.files=[social_iq_v2_rewrite.json]");
    if (recipe.includes("sft") || recipe.includes("context")) {
      overrides.push("data.files=[emer_rewrite.json, social_iq_v2_rewrite.json]");
    }
    if (asked !== null) {
      overrides.push(`eval.path=${await fixtureFolder(root, asked)}`, "eval.questions=1");
    }
    if (asked === "intent-bench") overrides.push("eval.video={nframes: 4}");
    const file = `configs/recipes/${recipe}.yaml`;
    const stages = await loadStages(file, { readText, overrides });
    if (stages !== undefined) return stages.map(({ config }) => config);
    return [await loadConfig(file, { readText, overrides })];
  }

  it.each(RECIPES)(
    "%s trains, validates, saves, resumes and exports",
    async (recipe, data, asked) => {
      for (const [stage, config] of (await shrunk(recipe, data, asked)).entries()) {
        const runFolder = join(root, `${recipe}-${stage}`);
        const stop = new AbortController();
        const onEvent = (event: RunEvent) => {
          if (event.kind === "step" && event.data.step === 1) stop.abort();
        };
        const first = await train(config, { runFolder, onEvent, signal: stop.signal });
        expect(first).toMatchObject({ steps: 1, stopped: true });
        const result = await train(config, { runFolder, resume: true });
        expect(result).toMatchObject({ steps: 2, stopped: false });
        expect(existsSync(join(runFolder, "model"))).toBe(true);
        const rows = await logRows(join(runFolder, "metrics.jsonl"));
        expect(rows.some((row) => row["loss"] !== undefined)).toBe(true);
        if (asked === null) continue;
        expect(rows.some((row) => row["eval/overall"] !== undefined)).toBe(true);
        if (asked === "mmau") expect(rows.some((row) => "eval/mmau-official" in row)).toBe(true);
      }
    },
  );
});
