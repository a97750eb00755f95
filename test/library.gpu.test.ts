import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ROOT } from "../src/cli/package.ts";
import type { RunInput } from "../src/config/schema.ts";
import { defineReward, evaluate, train } from "../src/index.ts";

describe("train and evaluate as functions", () => {
  let work = "";
  let config: RunInput;
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), "aubade-library-"));
    const path = join(work, "model");
    const script = join(ROOT, "scripts/make-tiny-checkpoint.ts");
    execFileSync(process.execPath, ["--import", "tsx", script, path, "7"], { cwd: ROOT });
    config = {
      model: { path },
      data: { folder: join(work, "clips"), clips: 2 },
      rollout: { max_completion_length: 6 },
      train: { max_steps: 1, prompts_per_step: 1, num_generations: 2, learning_rate: 1e-4 },
      eval: { questions: 2, controls: ["blank"] },
      device: { tier: inject("tier") === "t0" ? "T0" : "T1" },
    };
  });
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  const parity = defineReward("even", ({ ids }) => (ids.length + ids[0]!) % 2);

  it("train takes rewards of the program's own and gives the model away", async () => {
    const metrics: Record<string, unknown> = {};
    const spans: unknown[] = [];
    let handed = 0;
    const runFolder = join(work, "run");
    const result = await train(config, {
      runFolder,
      rewards: [{ reward: parity, weight: 1 }],
      onEvent: ({ kind, data }) => {
        if (kind === "step") Object.assign(metrics, data["metrics"]);
        if (kind === "span") spans.push([data["name"], data["step"]]);
      },
      onTrained: (model, processor) => {
        handed = model.weights.trained.length + processor.padId;
      },
    });
    expect(result).toMatchObject({ steps: 1, stopped: false });
    expect(result.controls.blank).toBeDefined();
    expect(handed).toBeGreaterThan(0);
    // A span is told when it ends, so the step comes after its parts.
    const parts = ["rollout", "rewards", "training pass", "optimizer", "gradient norm"];
    expect(spans).toEqual([
      ["evaluation", 0],
      ...[...parts, "step", "checkpoint", "evaluation", "evaluation"].map((name) => [name, 1]),
    ]);
    // The program's reward is the only one where the configuration names none.
    expect(metrics).toHaveProperty(["rewards/even/mean"]);
    expect(metrics).not.toHaveProperty(["rewards/correct/mean"]);
    for (const name of ["config.yaml", "model/model.safetensors", "model/config.json"]) {
      expect(existsSync(join(runFolder, name)), name).toBe(true);
    }
  });

  it("rewards of the program come beside those that the configuration names", async () => {
    const metrics: Record<string, unknown> = {};
    await train(
      { ...config, rewards: [{ name: "format", weight: 0.5 }] },
      {
        rewards: [{ reward: parity, weight: 1 }],
        onEvent: ({ kind, data }) => {
          if (kind === "step") Object.assign(metrics, data["metrics"]);
        },
      },
    );
    expect(metrics).toHaveProperty(["rewards/even/mean"]);
    expect(metrics).toHaveProperty(["rewards/format/mean"]);
  });

  it("evaluate scores intact and under control", async () => {
    const kinds = new Set<string>();
    const result = await evaluate(config, { onEvent: ({ kind }) => kinds.add(kind) });
    const { tiny } = result.benchmarks;
    expect(tiny).toMatchObject({ questions: 2, failed: 0 });
    expect(Object.keys(tiny!.controls)).toEqual(["blank"]);
    expect([...kinds]).toEqual(expect.arrayContaining(["device", "progress", "evaluation"]));
  });

  it("an aborted training stops before its first step", async () => {
    const result = await train(config, { signal: AbortSignal.abort() });
    expect(result).toMatchObject({ steps: 0, stopped: true });
  });

  it("names a wrong key", async () => {
    const wrong = { ...config, train: { max_step: 1 } } as RunInput;
    await expect(train(wrong)).rejects.toThrow(/train\.max_step .*train\.max_steps/);
    await expect(evaluate(wrong)).rejects.toMatchObject({ name: "ConfigError" });
  });
});
