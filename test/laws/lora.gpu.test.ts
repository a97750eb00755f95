import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bytesSource } from "../../src/io/byte-source.ts";
import { openSafetensors, type TensorStore } from "../../src/checkpoint/safetensors.ts";
import { Graph } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import type { Parameter } from "../../src/graph/storage.ts";
import {
  readAdapterConfig,
  readAdapters,
  writeAdapters,
} from "../../src/checkpoint/adapter-folder.ts";
import type { Feed } from "../../src/network/feed.ts";
import { Model } from "../../src/model/model.ts";
import { tokenLogProbs, trainingGraph, weightedNll } from "../../src/network/decoder/training.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenFeed, relativeL2 } from "../helpers/golden.ts";

const folder = fileURLToPath(new URL("../golden/lora/", import.meta.url));
const baseFolder = fileURLToPath(new URL("../golden/omni/tiny-a", import.meta.url));

async function open(file: string): Promise<TensorStore> {
  const bytes = await readFile(join(folder, file));
  return openSafetensors(bytesSource(new Uint8Array(bytes)), file);
}

describe("an adapter equals PEFT's", () => {
  const device = useDevice();
  let model: Model;
  let golden: TensorStore;
  let base: GoldenCase;
  let plan: Plan;
  let feed: Feed;
  let head: Parameter;
  let copy: string;
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), "aubade-lora-"));
    golden = await open("lora-text.safetensors");
    base = await GoldenCase.open("tiny-a-text");
    model = await Model.load(device(), baseFolder);
    const { config, weights } = model;
    const adapter = await readAdapterConfig(join(folder, "adapter"));
    expect(adapter).toEqual({ base: "tiny-a", revision: null, r: 4, scale: 2, rslora: false });
    for (const [layer, factors] of await readAdapters(join(folder, "adapter"), config, 4)) {
      weights.addAdapter(layer, { ...factors, scale: adapter.scale }, true);
    }
    ({ plan, feed } = await compile(model));
    head = weights.parameters.get("lm_head.weight")!;
    expect(config.text.layers).toBe(3);
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  async function compile(of: Model): Promise<{ plan: Plan; feed: Feed }> {
    const graph = new Graph();
    const { hidden } = trainingGraph(of.scope(graph), of.config, weightedNll);
    graph.keep("hidden", hidden);
    const all = await goldenFeed(base, of.config);
    const compiled = await Plan.compile(device(), graph, { label: "lora", capacity: all.sizes });
    compiled.writeAll(all.inputs);
    return { plan: compiled, feed: all };
  }

  /** All logits, by the head in float64. */
  async function logits(): Promise<Float64Array> {
    const hidden = await plan.read("hidden");
    const weight = await head.value.download();
    const { rows: vocabulary, width } = head.value;
    return Float64Array.from({ length: (hidden.length / width) * vocabulary }, (_, i) => {
      const row = Math.floor(i / vocabulary) * width;
      const token = (i % vocabulary) * width;
      let sum = 0;
      for (let d = 0; d < width; d++) sum += hidden[row + d]! * weight[token + d]!;
      return sum;
    });
  }

  it("logits, loss and the gradients of all factors", async () => {
    expect(model.weights.adapters.size).toBe(9);
    expect(model.weights.trained).toEqual(model.weights.adapterParameters);
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 1 });
    const got = await logits();
    expect(relativeL2(got, await golden.readF32("logits"))).toBeLessThan(1e-5);
    // The merged weights W + 2 B A are another order of rounding.
    expect(relativeL2(got, await golden.readF32("merged_logits"))).toBeLessThan(1e-5);
    const [loss] = await plan.read("terms", 1);
    expect(Math.abs(loss! / (await golden.readF32("loss"))[0]! - 1)).toBeLessThan(1e-6);
    for (const { name, gradient } of model.weights.trained) {
      const want = await golden.readF32(`grad.base_model.model.${name}`);
      expect(relativeL2(await gradient!.download(), want), name).toBeLessThan(5e-5);
    }
  });

  it("switched off it is the base model, and trains nothing", async () => {
    device().submit((encoder) => model.weights.clearGradients(encoder));
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 0 });
    const got = await logits();
    expect(relativeL2(got, await base.floats("logits"))).toBeLessThan(1e-5);
    const [loss] = await plan.read("terms", 1);
    expect(Math.abs(loss! / (await base.floats("loss"))[0]! - 1)).toBeLessThan(1e-6);
    for (const { name, gradient } of model.weights.trained) {
      expect(Math.hypot(...(await gradient!.download())), name).toBe(0);
    }
  });

  it("is saved in PEFT's bytes, and the folder loads as the model with its adapter", async () => {
    await writeAdapters(model, baseFolder, copy);
    const file = "adapter_model.safetensors";
    const peft = await readFile(join(folder, "adapter", file));
    expect((await readFile(join(copy, file))).equals(peft)).toBe(true);
    const written = JSON.parse(await readFile(join(copy, "adapter_config.json"), "utf8")) as object;
    const theirs = JSON.parse(
      await readFile(join(folder, "adapter", "adapter_config.json"), "utf8"),
    ) as Record<string, unknown>;
    expect(written).toEqual({
      ...Object.fromEntries(Object.keys(written).map((name) => [name, theirs[name]])),
      base_model_name_or_path: baseFolder,
      target_modules: [...model.weights.adapters.keys()],
    });
    const loaded = await Model.load(device(), copy);
    expect(loaded.weights.trained).toEqual([]);
    expect(loaded.weights.adapters.size).toBe(9);
    await expect(
      Model.load(device(), copy, { trains: (name) => name === "model.norm.weight" }),
    ).rejects.toMatchObject({ code: "adapter-of-adapter" });
    const graph = new Graph();
    graph.keep("out", tokenLogProbs(loaded.scope(graph), loaded.config).out);
    const again = await Plan.compile(device(), graph, { label: "loaded", capacity: feed.sizes });
    const { "loss.weight": weights, ...inputs } = feed.inputs;
    again.writeAll(inputs);
    await again.run(feed.sizes, feed.scalars);
    const out = await again.read("out");
    const nll = [...weights!].reduce((sum, w, i) => sum - w * out[3 * i]!, 0);
    expect(Math.abs(nll / (await golden.readF32("loss"))[0]! - 1)).toBeLessThan(1e-6);
    again.destroy();
    loaded.weights.destroy();
  });

  it("a folder that does not fit is refused by name", async () => {
    await writeAdapters(model, baseFolder, copy);
    await expect(readAdapters(copy, model.config, 8)).rejects.toMatchObject({
      code: "bad-adapter",
      message: expect.stringMatching(/\[4, \d+\]; its layer asks for \[8, \d+\]/) as string,
    });
    const config = JSON.parse(await readFile(join(copy, "adapter_config.json"), "utf8")) as object;
    for (const change of [
      { peft_type: "IA3" },
      { r: 0 },
      { use_dora: true },
      { modules_to_save: ["lm_head"] },
      { rank_pattern: { q_proj: 2 } },
    ]) {
      await writeFile(join(copy, "adapter_config.json"), JSON.stringify({ ...config, ...change }));
      await expect(readAdapterConfig(copy), JSON.stringify(change)).rejects.toMatchObject({
        code: "bad-adapter",
      });
    }
    const rs = JSON.stringify({ ...config, use_rslora: true });
    await writeFile(join(copy, "adapter_config.json"), rs);
    expect((await readAdapterConfig(copy)).scale).toBe(4);
  });
});
