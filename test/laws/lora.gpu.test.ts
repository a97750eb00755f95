import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { bytesSource } from "../../src/io/byte-source.ts";
import { openSafetensors, type TensorStore } from "../../src/io/safetensors.ts";
import { differentiate } from "../../src/graph/differentiate.ts";
import { Graph } from "../../src/graph/graph.ts";
import { logProb } from "../../src/graph/ops/head.ts";
import { nllLoss } from "../../src/graph/ops/loss.ts";
import { columnSum } from "../../src/graph/ops/reduce.ts";
import { Plan } from "../../src/graph/plan.ts";
import { Storage, type Parameter } from "../../src/graph/storage.ts";
import type { Feed } from "../../src/models/qwen2-5-omni/feed.ts";
import {
  lossExtent,
  lossRows,
  packedDecoder,
  towers,
} from "../../src/models/qwen2-5-omni/network.ts";
import { Scope, type Adapter } from "../../src/nn/scope.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenFeed, loadGoldenModel, relativeL2 } from "../helpers/omni-golden.ts";

const folder = new URL("../golden/lora/", import.meta.url);

async function open(file: string): Promise<TensorStore> {
  const bytes = await readFile(new URL(file, folder));
  return openSafetensors(bytesSource(new Uint8Array(bytes)), file);
}

describe("an adapter equals PEFT's", () => {
  const device = useDevice();
  const parameters = new Map<string, Parameter>();
  let golden: TensorStore;
  let base: GoldenCase;
  let plan: Plan;
  let feed: Feed;
  let head: Parameter;
  beforeAll(async () => {
    golden = await open("lora-text.safetensors");
    base = await GoldenCase.open("tiny-a-text");
    const { config, weights } = await loadGoldenModel(device(), "tiny-a");
    const stored = await open("adapter/adapter_model.safetensors");
    const adapters = new Map<string, Adapter>();
    const make = async (name: string): Promise<Parameter> => {
      const { shape } = stored.tensors.get(name)!;
      const value = new Storage(device(), name, shape[0]!, shape[1]!);
      value.upload(await stored.readF32(name));
      const gradient = new Storage(device(), `d${name}`, shape[0]!, shape[1]!);
      const parameter = { name, shape, value, scale: 1, gradient };
      parameters.set(name, parameter);
      return parameter;
    };
    for (const name of stored.tensors.keys()) {
      const match = /^base_model\.model\.(.+)\.lora_A\.weight$/.exec(name);
      if (match === null) continue;
      const b = await make(name.replace("lora_A", "lora_B"));
      adapters.set(match[1]!, { a: await make(name), b, scale: 2 });
    }
    const graph = new Graph();
    const scope = new Scope(graph, { parameters: weights.parameters, adapters });
    const hidden = packedDecoder(scope, config, towers(scope, config));
    head = weights.parameters.get("lm_head.weight")!;
    graph.keep("hidden", hidden);
    const { rows, target } = lossRows(graph, config, hidden);
    const out = logProb(graph, rows, scope.weight("lm_head.weight"), target);
    const loss = nllLoss(graph, out, graph.input("loss.weight", lossExtent(config), 1));
    graph.keep("loss", columnSum(graph, loss.terms));
    differentiate(graph, [[out, loss.gradient]]);
    feed = await goldenFeed(base, config);
    plan = await Plan.compile(device(), graph, { label: "lora", capacity: feed.sizes });
    plan.writeAll(feed.inputs);
  });

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
    expect(parameters.size).toBe(18);
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 1 });
    const got = await logits();
    expect(relativeL2(got, await golden.readF32("logits"))).toBeLessThan(1e-5);
    // The merged weights W + 2 B A are another order of rounding.
    expect(relativeL2(got, await golden.readF32("merged_logits"))).toBeLessThan(1e-5);
    const [loss] = await plan.read("loss", 1);
    expect(Math.abs(loss! / (await golden.readF32("loss"))[0]! - 1)).toBeLessThan(1e-6);
    for (const [name, { gradient }] of parameters) {
      const want = await golden.readF32(`grad.${name}`);
      expect(relativeL2(await gradient!.download(), want), name).toBeLessThan(5e-5);
    }
  });

  it("switched off it is the base model, and trains nothing", async () => {
    device().submit((encoder) => {
      for (const { gradient } of parameters.values()) gradient!.clear(encoder);
    });
    await plan.run(feed.sizes, { ...feed.scalars, adapter: 0 });
    const got = await logits();
    expect(relativeL2(got, await base.floats("logits"))).toBeLessThan(1e-5);
    const [loss] = await plan.read("loss", 1);
    expect(Math.abs(loss! / (await base.floats("loss"))[0]! - 1)).toBeLessThan(1e-6);
    for (const [name, { gradient }] of parameters) {
      expect(Math.hypot(...(await gradient!.download())), name).toBe(0);
    }
  });
});
