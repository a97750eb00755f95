import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { train } from "../../src/run/train.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

const place = new TinyWorkplace();
beforeAll(() => place.make());
afterAll(() => place.remove());

/** Runs four steps with a checkpoint after each; warnings, and the scores of what is kept. */
async function run(name: string, output: object) {
  const { onEvent, list } = recorded("warning");
  const config = place.config({
    train: { max_steps: 4, save_steps: 1 },
    device: { tier: inject("tier").toUpperCase() },
    ...{ eval: null, output: { keep_last: 1, export_dtype: null, ...output } },
  });
  const runFolder = place.path(name);
  await train(config, { onEvent, runFolder });
  const kept = (await readdir(runFolder)).filter((entry) => entry.startsWith("checkpoint-"));
  const scores = kept.map(async (entry) => {
    const text = await readFile(place.path(name, entry, "manifest.json"), "utf8");
    return (JSON.parse(text) as { score?: number }).score;
  });
  return {
    warnings: list.map(({ data }) => data["code"]),
    kept,
    scores: await Promise.all(scores),
  };
}

it("keeps the best by a metric, and says where none was measured", async () => {
  const low = await run("low", { keep_best: "reward", greater_is_better: false });
  expect(low.warnings).not.toContain("no-score");
  expect(low.kept.at(-1)).toBe("checkpoint-00004");
  expect(Math.max(...low.scores.map((score) => score!))).toBe(low.scores[0]);
  // Derived from the completions by who logs, so that the trainer has no value of it.
  const none = await run("none", { keep_best: "advantages/mean" });
  expect(none.warnings.filter((code) => code === "no-score")).toHaveLength(4);
  expect(none).toMatchObject({ kept: ["checkpoint-00004"], scores: [undefined] });
});
