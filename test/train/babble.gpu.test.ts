/**
 * Garbage without a fault of the engine: weights that say "systemsystemsystem" whatever they are
 * asked. The run's health names it within one step, with an example in the run folder and on the
 * console; it masks or stops as it is told, and a keyword reward that pays for it is named.
 */
import { mkdir, readdir, readFile, cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { initialWeights } from "../../src/checkpoint/init.ts";
import { defineReward } from "../../src/reward/reward.ts";
import { train } from "../../src/run/train.ts";
import { useDevice } from "../helpers/device.ts";
import { plainConsole, TinyWorkplace } from "../helpers/tiny-run.ts";

/** Counts a substring as AffectOmni's people_focus does: two hits earn 0.1, and no answer is asked for. */
const keywords = defineReward("people-focus", ({ text }) =>
  Math.min(0.1, (text.split("stem").length - 1) / 20),
);

const device = useDevice();
const place = new TinyWorkplace();
let said: string;

beforeAll(async () => {
  await place.make();
  await babbler("loud", 3);
  await babbler("stray", 0.9);
});
afterAll(() => place.remove());
beforeEach(() => {
  said = "";
});

/**
 * A checkpoint that says "system": all embeddings share a direction, and the head's row of that token
 * lies in it. At a pull of 3 it says nothing else, at 0.9 every fourth token or so is a stray one.
 */
async function babbler(name: string, pull: number): Promise<void> {
  const folder = place.path(name);
  await mkdir(folder);
  for (const file of await readdir(place.model)) {
    if (file.endsWith(".json")) await cp(join(place.model, file), join(folder, file));
  }
  const config = parseModelConfig(await readFile(join(folder, "config.json"), "utf8"));
  const weights = initialWeights(config, 7);
  const { hiddenSize, vocabSize } = config.text;
  const tokenizer = JSON.parse(await readFile(join(folder, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number> };
  };
  const word = tokenizer.model.vocab["system"]!;
  const embedding = weights.get("model.embed_tokens.weight")!.data;
  const head = weights.get("lm_head.weight")!.data;
  for (let token = 0; token < vocabSize; token++) {
    embedding[token * hiddenSize]! += 8;
    head[token * hiddenSize] = token === word ? pull : 0;
  }
  const tensors = [...weights].map(([tensor, { shape, data }]) => ({
    ...{ name: config.family.names.stored(tensor), shape, data },
    dtype: "F32" as const,
  }));
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
}

let runs = 0;

/** A run with the weights of a checkpoint, and what the console says of it. */
async function attempt(model: string, change: Record<string, object | string> = {}) {
  const name = `run-${runs++}`;
  const config = place.config({
    model: { path: place.path(model) },
    rollout: { max_completion_length: 24 },
    rewards: [{ name: "format", weight: 1 }, { name: "correct" }],
    train: { max_steps: 2, num_generations: 4, save_steps: 1 },
    eval: null,
    output: { export_dtype: null },
    device: { tier: inject("tier").toUpperCase() },
    ...change,
  });
  const folder = place.path(name);
  let error: (Error & { code?: string }) | undefined;
  await train(config, {
    ...{ runFolder: folder, device: device(), rewards: [{ reward: keywords, weight: 1 }] },
    onEvent: plainConsole((text) => (said += text)),
  }).catch((cause: unknown) => (error = cause as Error));
  const read = (log: string) => readFile(join(folder, log), "utf8");
  const rows = async (log: string) =>
    (await read(log))
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const health = JSON.parse(await read("health.json")) as {
    step: number;
    verdict: string;
    findings: { rule: string; level: string; message: string; example?: string }[];
    history: { rule: string; from: number }[];
  };
  const found = (rule: string) => health.findings.find((one) => one.rule === rule);
  return { error, folder, read, rows, health, found };
}

const SYSTEMS = /"(system){15,}/;

describe("a policy that says systemsystemsystem (F11)", () => {
  it("is named at its first step with an example, in the run folder and on the console", async () => {
    const { error, health, found, read, rows } = await attempt("loud");
    expect(error).toBeUndefined();
    expect(health.verdict).toBe("warning");
    const events = await rows("events.jsonl");
    const first = events.find(({ kind }) => kind === "health")!;
    expect(first).toMatchObject({ step: 1, verdict: "warning" });
    expect(found("repetition")!.message).toMatch(/^8 of 8 completions \(100 %\) repeat themselves/);
    expect(found("repetition")!.message).toContain("a medium given twice");
    expect(found("repetition")!.example).toMatch(SYSTEMS);
    expect(health.history.find(({ rule }) => rule === "repetition")!.from).toBe(1);
    const words = await read("health.md");
    expect(words).toContain("**repetition**, since step 1: 8 of 8 completions");
    expect(words).toMatch(/systemsystemsystem/);
    expect(said).toMatch(/repetition.*8 of 8 completions/s);
    expect(said).toMatch(/systemsystemsystem/);
    const [row] = await rows("metrics.jsonl");
    expect(row).toMatchObject({ format: 0, correct: 0, "completions/degenerate_ratio": 1 });
  });

  it("that earns by keywords is named as a reward that will be farmed, with who pays", async () => {
    const { found, rows } = await attempt("loud");
    const [row] = await rows("metrics.jsonl");
    // Source B's constant 0.10, beside a format and an accuracy of 0.
    expect(row!["reward"]).toBeCloseTo(0.1, 10);
    expect(found("paid_garbage")!.message).toMatch(
      /^8 of 8 completions that repeat themselves or are garbage earned 0\.1 on average \(people-focus 0\.1\)\. A reward that such text can earn will be farmed/,
    );
    expect(found("paid_garbage")!.example).toMatch(SYSTEMS);
  });

  it("is named with stray fragments between the repeats", async () => {
    const { found, rows } = await attempt("stray");
    const texts = (await rows("rollouts.jsonl")).map(({ text }) => text as string);
    expect(texts.some((text) => /system(?!system)./.test(text))).toBe(true);
    expect(found("repetition")!.message).toMatch(
      /\(the first: (one token makes \d+ % of it|the same token \d+ times|"\w+" \d+ times makes)/,
    );
    expect(found("repetition")!.example).toMatch(/systemsystem/);
  });
});

describe("what a run does about it", () => {
  const random = { rewards: [{ name: "random", weight: 1 }] };

  it("warn: it goes on and trains on what was said", async () => {
    const { error, rows } = await attempt("loud", random);
    expect(error).toBeUndefined();
    for (const row of await rows("metrics.jsonl")) {
      expect(row["completions/masked_ratio"]).toBe(0);
      expect(row["grad_norm"]).toBeGreaterThan(0);
    }
  });

  it("mask: it goes on, and nothing of what was said is trained on", async () => {
    const health = { repetition: { action: "mask" } };
    const { error, rows, found } = await attempt("loud", { ...random, health });
    expect(error).toBeUndefined();
    expect(found("repetition")!.level).toBe("warn");
    for (const row of await rows("metrics.jsonl")) {
      expect(row).toMatchObject({ "completions/masked_ratio": 1, loss: 0, grad_norm: 0 });
    }
    for (const { masked } of await rows("rollouts.jsonl")) expect(masked).toBe(true);
  });

  it("stop: it ends after its first step by name, without a checkpoint of that step", async () => {
    const health = { repetition: { action: "stop" } };
    const { error, rows, folder, health: record } = await attempt("loud", { ...random, health });
    expect(error).toMatchObject({ code: "health-stop" });
    expect(error!.message).toMatch(/^step 1: 8 of 8 completions \(100 %\) repeat themselves/);
    expect(error!.message).toContain("health.repetition.action stopped the run");
    expect(record).toMatchObject({ step: 1, verdict: "stop" });
    expect(await rows("metrics.jsonl")).toHaveLength(1);
    expect((await readdir(folder)).filter((name) => name.startsWith("checkpoint"))).toEqual([]);
  });

  it("stop on what a reward pays for it", async () => {
    const { error } = await attempt("loud", { health: { paid_garbage: { action: "stop" } } });
    expect(error).toMatchObject({ code: "health-stop" });
    expect(error!.message).toContain("people-focus 0.1");
  });
});
