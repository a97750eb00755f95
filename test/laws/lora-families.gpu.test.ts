import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Graph } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import type { Device } from "../../src/gpu/device.ts";
import {
  readAdapterConfig,
  readAdapters,
  writeAdapters,
} from "../../src/checkpoint/adapter-folder.ts";
import { trainingGraph, weightedNll } from "../../src/network/decoder/training.ts";
import type { Feed } from "../../src/network/feed.ts";
import { Model } from "../../src/model/model.ts";
import { adapterLayers } from "../../src/checkpoint/tuning.ts";
import { AdamW } from "../../src/train/optimizer.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenFeed, relativeL2 } from "../helpers/golden.ts";

const root = fileURLToPath(new URL("../golden/", import.meta.url));

/** Adapters on towers and decoder, as make_families.py made them. */
const FAMILIES = [
  { family: "vl", prompt: "image-and-video", layers: 15, rslora: false },
  { family: "qwen2-audio", prompt: "two-clips", layers: 11, rslora: true },
] as const;

/** Decoder with towers, loss and gradients; keeps `hidden` and `terms`. */
async function trainPlan(device: Device, { config, weights }: Model, feed: Feed): Promise<Plan> {
  const graph = new Graph();
  const scope = new Model(device, config, weights).scope(graph);
  graph.keep("hidden", trainingGraph(scope, config, weightedNll).hidden);
  const plan = await Plan.compile(device, graph, { label: "lora", capacity: feed.sizes });
  plan.writeAll(feed.inputs);
  return plan;
}

/** All logits of a plan's hidden states, by the head in float64. */
async function logits(plan: Plan, { weights }: Model): Promise<Float64Array> {
  const hidden = await plan.read("hidden");
  const { value } = weights.parameters.get("lm_head.weight")!;
  const head = await value.download();
  const { rows: vocabulary, width } = value;
  return Float64Array.from({ length: (hidden.length / width) * vocabulary }, (_, i) => {
    const row = Math.floor(i / vocabulary) * width;
    const token = (i % vocabulary) * width;
    let sum = 0;
    for (let d = 0; d < width; d++) sum += hidden[row + d]! * head[token + d]!;
    return sum;
  });
}

describe.each(FAMILIES)("adapters of $family equal PEFT's", (entry) => {
  const device = useDevice();
  const folder = join(root, "lora", entry.family);
  let copy: string;
  let golden: GoldenCase;
  let model: Model;
  let feed: Feed;
  let plan: Plan;
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), "aubade-lora-"));
    golden = await GoldenCase.open(`lora/${entry.family}/lora`);
    model = await Model.load(device(), join(root, entry.family, "tiny-a"));
    const { r, scale, rslora } = await readAdapterConfig(join(folder, "adapter"));
    expect({ r, rslora }).toEqual({ r: 3, rslora: entry.rslora });
    expect(scale).toBe(entry.rslora ? 6 / Math.sqrt(3) : 2);
    const read = await readAdapters(join(folder, "adapter"), model.config, r);
    for (const layer of [...model.weights.parameters.keys()].map((n) => n.slice(0, -7))) {
      const factors = read.get(layer);
      if (factors) model.weights.addAdapter(layer, { ...factors, scale, rslora }, true);
    }
    const prompt = await GoldenCase.open(`${entry.family}/tiny-a-${entry.prompt}`);
    expect(await golden.integers("input_ids")).toEqual(await prompt.integers("input_ids"));
    feed = await goldenFeed(prompt, model.config);
    plan = await trainPlan(device(), model, feed);
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  async function step(): Promise<number> {
    device().submit((encoder) => model.weights.clearGradients(encoder));
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 1 });
    return (await plan.read("terms", 1))[0]!;
  }

  it("logits, loss and the gradients of all factors", async () => {
    expect(model.weights.adapters.size).toBe(entry.layers);
    const loss = await step();
    const got = await logits(plan, model);
    expect(relativeL2(got, await golden.floats("logits"))).toBeLessThan(1e-5);
    // The merged weights W + scale B A are another order of rounding.
    expect(relativeL2(got, await golden.floats("merged_logits"))).toBeLessThan(1e-5);
    expect(Math.abs(loss / (await golden.floats("loss"))[0]! - 1)).toBeLessThan(1e-6);
    for (const { name, gradient } of model.weights.trained) {
      const module = model.config.family.names.module(name);
      const want = await golden.floats(`grad.base_model.model.${module}`);
      expect(relativeL2(await gradient!.download(), want), name).toBeLessThan(1e-4);
    }
  });

  it("is saved in PEFT's bytes, and its layers are named by whole module paths", async () => {
    await writeAdapters(model, "tiny-a", copy);
    const file = "adapter_model.safetensors";
    const peft = await readFile(join(folder, "adapter", file));
    expect((await readFile(join(copy, file))).equals(peft)).toBe(true);
    const json = async (path: string) =>
      JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8")) as Record<
        string,
        unknown
      >;
    const [written, theirs] = [await json(copy), await json(join(folder, "adapter"))];
    const targets = written["target_modules"] as string[];
    expect(written).toEqual({
      ...Object.fromEntries(Object.keys(written).map((name) => [name, theirs[name]])),
      target_modules: targets,
    });
    const expression = new RegExp(`^(${theirs["target_modules"] as string})$`);
    expect(targets).toHaveLength(entry.layers);
    for (const target of targets) expect(target).toMatch(expression);
    expect(await readAdapterConfig(copy)).toEqual(await readAdapterConfig(join(folder, "adapter")));
  });

  it("three AdamW steps", async () => {
    const optimizer = await AdamW.create(device(), model.weights.trained, {
      ...{ adam_beta1: 0.9, adam_beta2: 0.95, adam_epsilon: 1e-8 },
      ...{ weight_decay: 0.01, max_grad_norm: 1 },
    });
    const [losses, norms] = [await golden.floats("losses"), await golden.floats("grad_norms")];
    for (let i = 0; i < 3; i++) {
      const loss = await step();
      expect(Math.abs(loss / losses[i]! - 1), `loss ${i}`).toBeLessThan(1e-5);
      await optimizer.update(1e-3);
      const norm = await optimizer.gradientNorm();
      expect(Math.abs(norm / norms[i]! - 1), `norm ${i}`).toBeLessThan(1e-4);
    }
    for (const { name, value } of model.weights.trained) {
      const module = model.config.family.names.module(name);
      const want = await golden.floats(`step3.base_model.model.${module}`);
      expect(relativeL2(await value.download(), want), name).toBeLessThan(1e-5);
    }
    optimizer.destroy();
    plan.destroy();
    model.weights.destroy();
  });
});

describe.each([
  ["omni", "mixed"],
  ["vl", "image-and-video"],
  ["qwen2-audio", "two-clips"],
])("adapters on every linear layer of %s", (family, prompt) => {
  const device = useDevice();

  it("all receive gradients", async () => {
    const groups = { tune_mm_llm: true, tune_mm_vision: true, tune_mm_audio: true };
    const everything = { ...groups, tune_mm_mlp: true, freeze: [] };
    const model = await Model.load(device(), join(root, family, "tiny-a"), {
      trains: () => false,
      adapters: {
        ...{ r: 2, alpha: 4, rslora: true, seed: 5 },
        choose: (layers) => adapterLayers(layers, "all-linear", everything),
      },
    });
    const { adapters, parameters } = model.weights;
    const linear = [...parameters.keys()].filter((name) => parameters.has(name) && isLinear(name));
    function isLinear(name: string): boolean {
      if (!name.endsWith(".weight") || parameters.get(name)!.shape.length !== 2) return false;
      return !/embed|lm_head|audio_bos_eos/.test(name);
    }
    expect([...adapters.keys()]).toEqual(linear.map((name) => name.slice(0, -7)));
    const golden = await GoldenCase.open(`${family}/tiny-a-${prompt}`);
    const feed = await goldenFeed(golden, model.config);
    const plan = await trainPlan(device(), model, feed);
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 1 });
    for (const [layer, { a, b, scale }] of adapters) {
      expect(scale).toBe(4 / Math.sqrt(2));
      expect(Math.hypot(...(await b.gradient!.download())), layer).toBeGreaterThan(0);
      expect(Math.hypot(...(await a.gradient!.download())), layer).toBe(0);
    }
    plan.destroy();
    model.weights.destroy();
  });
});
