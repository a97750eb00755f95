import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Graph } from "../../src/graph/graph.ts";
import { nllLoss } from "../../src/ops/loss.ts";
import { columnSum } from "../../src/ops/reduce.ts";
import { planMemory } from "../../src/graph/plan/memory.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { recompute } from "../../src/graph/recompute.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import type { Feed } from "../../src/network/feed.ts";
import { initialWeights } from "../../src/checkpoint/init.ts";
import { lossExtent } from "../../src/network/decoder/packed-decoder.ts";
import { tokenLogProbs } from "../../src/network/decoder/training.ts";
import { arraySource, type WeightSource } from "../../src/checkpoint/weight-source.ts";
import { ModelWeights } from "../../src/checkpoint/weights.ts";
import { Scope } from "../../src/network/scope.ts";
import { useDevice } from "../helpers/device.ts";
import {
  capacityOf,
  EVERYTHING,
  treePrompt,
  packedGroups,
  randomGroup,
} from "../helpers/tree-training.ts";

const LAYERS = 8;

describe("recomputing the blocks of a decoder of eight layers", () => {
  const device = useDevice();
  let config: FamilyModel;
  let weights: ModelWeights;
  let feed: Feed;
  beforeAll(async () => {
    const path = new URL("../golden/omni/tiny-b/config.json", import.meta.url);
    const stored = JSON.parse(readFileSync(path, "utf8")) as Record<string, object>;
    stored["text_config"] = { ...stored["text_config"], num_hidden_layers: LAYERS };
    config = parseModelConfig(JSON.stringify(stored), "eight layers");
    const sources = new Map<string, WeightSource>();
    for (const [name, { shape, data }] of initialWeights(config, 1)) {
      sources.set(name, arraySource(shape, data));
    }
    weights = await ModelWeights.load(device(), sources, config.tensors, EVERYTHING);
    // Text alone: the towers, whose layers are no blocks here, take no memory.
    const prompt = await treePrompt("omni/tiny-b", "text", config);
    feed = packedGroups(config, [randomGroup(prompt, [20, 30, 7, 1], 1)]);
  });

  /** A training pass; with blocks of `every` layers when that is given. */
  function trace(every?: number): { graph: Graph; added: number } {
    const graph = new Graph();
    const scope = new Scope(graph, weights);
    const { out } = tokenLogProbs(scope, config);
    const loss = nllLoss(graph, out, graph.input("loss.weight", lossExtent(config), 1));
    graph.keep("loss", columnSum(graph, loss.terms));
    const backward = graph.nodes.length;
    differentiate(graph, [[out, loss.gradient]]);
    let added = 0;
    if (every !== undefined) {
      const boundaries = [graph.annotations.get("embeddings")!];
      for (let layer = every - 1; layer < LAYERS; layer += every) {
        boundaries.push(graph.annotations.get(`hidden.${layer}`)!);
      }
      added = recompute(graph, { boundaries, backward });
    }
    return { graph, added };
  }

  /** Runs a training pass. */
  async function train(every?: number) {
    const { graph, added } = trace(every);
    const plan = await Plan.compile(device(), graph, { label: "r", capacity: capacityOf([feed]) });
    device().submit((encoder) => weights.clearGradients(encoder));
    plan.writeAll(feed.inputs);
    await plan.run(feed.sizes, feed.scalars);
    const [value] = await plan.read("loss", 1);
    const gradients = new Map<string, Float32Array>();
    for (const { name, gradient } of weights.trained)
      gradients.set(name, await gradient!.download());
    const report = plan.report(feed.sizes, feed.scalars);
    plan.destroy();
    return { loss: value!, gradients, report, added };
  }

  it("keeps one block and the boundaries of a long pass", () => {
    const tokens = 4000;
    const capacity = { ...capacityOf([feed]), tokens, tokenEnds: tokens + 1 };
    const bytes = (every?: number) => planMemory(trace(every).graph, capacity, 2 ** 27).bytes;
    const plain = bytes();
    expect(bytes(1)).toBeLessThan(0.25 * plain);
    expect(bytes(2)).toBeLessThan(0.35 * plain);
    // Seven of eight layers keep no more than their residual stream.
    const { hiddenSize, intermediateSize } = config.text;
    expect(plain - bytes(1)).toBeGreaterThan(7 * tokens * 4 * (3 * intermediateSize + hiddenSize));
  });

  it("gives the same bits for exactly the additional work", async () => {
    const plain = await train();
    for (const every of [1, 2]) {
      const less = await train(every);
      expect(less.loss).toBe(plain.loss);
      for (const [name, gradient] of plain.gradients) {
        expect(less.gradients.get(name), `${every}: ${name}`).toEqual(gradient);
      }
      // 13 ops a layer: all but what makes the last residual stream and the operand of its sum.
      const layers = LAYERS - every;
      expect(less.added).toBeLessThanOrEqual(layers * 13);
      expect(less.added).toBeGreaterThanOrEqual(layers * 10);
      expect(less.report.dispatches).toBe(plain.report.dispatches + less.added);
      const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config.text;
      const qkvo = (2 * heads + 2 * kvHeads) * headDim;
      const perToken = hiddenSize * (qkvo + 2 * intermediateSize);
      const boundary = (layers / every) * (every - 1) * hiddenSize * intermediateSize;
      const pairs = heads * headDim * 2 * feed.scalars["textPairs"]!;
      // Blocks of several layers compute the residual streams inside them again as well.
      const tokens = feed.sizes["tokens"]!;
      expect(less.report.flops - plain.report.flops).toBe(
        2 * tokens * (layers * perToken + boundary) + 2 * layers * pairs,
      );
      expect(less.report.activationBytes).toBeLessThan(plain.report.activationBytes);
    }
  });
});
