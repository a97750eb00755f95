import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { ROOT } from "../../src/cli/package.ts";
import type { RunInput } from "../../src/config/schema.ts";
import { defineReward, train } from "../../src/index.ts";

let work = "";
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "aubade-rows-"));
  const script = join(ROOT, "scripts/make-tiny-checkpoint.ts");
  const model = join(work, "model");
  execFileSync(process.execPath, ["--import", "tsx", script, model, "7"], { cwd: ROOT });
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const ROWS = ["red", "blue", "green"].map((answer, i) => ({
  ...{ id: `row ${i}`, prompt: `Which colour is number ${i} ?`, answer },
}));

it("a run is not resumed on rows that changed, and is on those that it had", async () => {
  const path = join(work, "rows.jsonl");
  const write = (rows: object[]) =>
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const parity = defineReward("even", ({ ids }) => (ids.length + ids[0]!) % 2);
  const run = (steps: number, resume: boolean) => {
    const config: RunInput = {
      model: { path: join(work, "model") },
      data: { name: "jsonl", path },
      rollout: { max_completion_length: 4 },
      train: { max_steps: steps, save_steps: 1, prompts_per_step: 1, num_generations: 2 },
      eval: null,
      device: { tier: inject("tier") === "t0" ? "T0" : "T1" },
    };
    const rewards = [{ reward: parity, weight: 1 }];
    return train(config, { runFolder: join(work, "run"), resume, rewards });
  };
  const metrics = () => readFile(join(work, "run/metrics.jsonl"), "utf8");
  write(ROWS);
  await run(1, false);
  const before = await metrics();
  write(ROWS.map((row, i) => (i === 2 ? { ...row, answer: "white" } : row)));
  await expect(run(2, true)).rejects.toMatchObject({
    code: "resume-changed",
    message: expect.stringMatching(/the data set was \S.* and is now \S.*Restore its rows/),
  });
  expect(await metrics()).toBe(before);
  write(ROWS);
  expect(await run(2, true)).toMatchObject({ steps: 2 });
});
