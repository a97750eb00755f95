import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/families/qwen2-5-omni/config.ts";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { gelu } from "../../src/ops/activation.ts";
import { logProb } from "../../src/ops/head.ts";
import { linear } from "../../src/ops/linear.ts";
import { nllLoss } from "../../src/ops/loss.ts";
import { rmsNorm } from "../../src/ops/norm.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { ConfigReader } from "../../src/io/config-reader.ts";
import { Storage, type Parameter } from "../../src/graph/storage.ts";
import type { Feed } from "../../src/network/feed.ts";
import { useDevice } from "../helpers/device.ts";
import { loadGoldenModel } from "../helpers/golden.ts";
import {
  capacityOf,
  EVERYTHING,
  treePrompt,
  packedGroups,
  randomGroup,
  TrainingPass,
} from "../helpers/tree-training.ts";

const device = useDevice();

/** FLOPs of one training pass of the thinker: forward, and backward of every weight and input. */
function trainingFlops(config: ReturnType<typeof parseConfig>, { sizes, scalars }: Feed): number {
  const { text, vision, audio } = config;
  const tokens = sizes["tokens"]!;
  const patches = 4 * sizes["cells"]!;
  const { frames, audioRows, audioFeatures } = sizes as Record<string, number>;
  const qkv = (text.heads + 2 * text.kvHeads) * text.headDim;
  const layer = text.hiddenSize * (qkv + text.heads * text.headDim + 3 * text.intermediateSize);
  let products = tokens * text.layers * layer;
  const block = 4 * vision.hiddenSize ** 2 + 3 * vision.hiddenSize * vision.intermediateSize;
  const merged = 4 * vision.hiddenSize;
  products += patches * vision.depth * block;
  products += (patches / 4) * merged * (merged + vision.outHiddenSize);
  products += audioRows! * audio.layers * (4 * audio.width ** 2 + 2 * audio.width * audio.ffnSize);
  products +=
    audioRows! * 3 * audio.width * audio.width + audioFeatures! * audio.width * audio.outputDim;
  // Forward, gradient of the input and of the weight; pixels and mel get no gradient.
  let flops = 3 * 2 * products;
  flops +=
    2 *
    2 *
    (patches * vision.patchDim * vision.hiddenSize + frames! * 3 * audio.melBins * audio.width);
  // The head recomputes its logits in backward.
  flops += 4 * 2 * sizes["lossRows"]! * text.hiddenSize * text.vocabSize;
  // Two products of pairs forward, three and four backward.
  const full = vision.fullAttentionBlocks.length;
  const pairs =
    text.layers * text.heads * text.headDim * scalars["textPairs"]! +
    audio.layers * audio.width * scalars["audioPairs"]! +
    vision.hiddenSize *
      (full * scalars["slicePairs"]! + (vision.depth - full) * scalars["windowPairs"]!);
  return flops + 2 * (2 + 3 + 4) * pairs;
}

describe("Plan.report", () => {
  it("counts dispatches, FLOPs and bytes of a small model exactly", async () => {
    const make = (name: string, rows: number, width: number): Parameter => ({
      name,
      shape: [rows, width],
      value: new Storage(device(), name, rows, width),
      scale: 1,
      gradient: new Storage(device(), `d${name}`, rows, width),
    });
    const graph = new Graph();
    const rows = new Extent("rows", 4 * 32);
    const x = graph.input("x", rows, 16);
    const n = rmsNorm(graph, x, graph.parameter(make("norm", 1, 16)), 1e-6);
    const hidden = gelu(graph, linear(graph, n, graph.parameter(make("up", 32, 16))));
    const down = linear(graph, hidden, graph.parameter(make("down", 16, 32)), { residual: x });
    const target = graph.input("target", rows, 1, "u32");
    const out = logProb(graph, down, graph.parameter(make("head", 50, 16)), target);
    const loss = nllLoss(graph, out, graph.input("weight", rows, 1));
    const forward = graph.nodes.length;
    expect(forward).toBe(6);
    differentiate(graph, [[out, loss.gradient]]);
    const plan = await Plan.compile(device(), graph, { label: "m", capacity: { rows: 100 } });
    const report = plan.report({ rows: 10 });
    // Forward: norm, up, gelu, down, logits + statistics + finish, loss = 8. Backward: logits, their
    // gradient, rows, weight = 4; down 1 + 2, gelu 1, up 1 + 2, norm's weight 2 = 9.
    expect(report.dispatches).toBe(8 + 4 + 9);
    expect(report.flops).toBe(2 * 10 * (3 * 2 * 16 * 32 + 4 * 16 * 50));
    expect(report.inputBytes).toBe(100 * (16 + 1 + 1) * 4);
    expect(plan.report({ rows: 20 }).flops).toBe(2 * report.flops);
    expect(plan.report({ rows: 20 }).dispatches).toBe(report.dispatches);
    expect(plan.report({ rows: 0 }).flops).toBe(0);
    expect(report.activationBytes).toBeLessThan(report.unsharedBytes);
    const before = { ...device().counters };
    plan.writeAll({
      x: new Float32Array(160),
      target: new Uint32Array(10),
      weight: new Float32Array(10),
    });
    await plan.run({ rows: 10 });
    expect(device().counters.dispatches - before.dispatches).toBe(report.dispatches);
    expect(device().counters.submits - before.submits).toBe(1);
    plan.destroy();
  });

  it("counts the FLOPs of the thinker's training pass exactly", async () => {
    const { config, weights } = await loadGoldenModel(device(), "tiny-a", EVERYTHING);
    const groups = await Promise.all(
      ["av", "image", "audio", "text"].map(async (name, i) =>
        randomGroup(await treePrompt("omni/tiny-a", name, config), [4, 1, 6 + i], i),
      ),
    );
    const feed = packedGroups(config, groups);
    const pass = await TrainingPass.compile(device(), config, weights, capacityOf([feed]));
    const report = pass.plan.report(feed.sizes, feed.scalars);
    const file = new URL("../golden/omni/tiny-a/config.json", import.meta.url);
    const shapes = parseConfig(ConfigReader.parse(readFileSync(file, "utf8"), "config.json"));
    expect(report.flops).toBe(trainingFlops(shapes, feed));
    expect(report.activationBytes).toBeLessThan(0.6 * report.unsharedBytes);
    pass.plan.destroy();
    weights.destroy();
  });
});
