import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Graph } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { Model } from "../../src/model/model.ts";
import { ModelWeights } from "../../src/checkpoint/weights.ts";
import { tokenLogProbs } from "../../src/network/decoder/training.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenFeed, relativeL2 } from "../helpers/golden.ts";

const folder = fileURLToPath(new URL("../golden/omni/tiny-a", import.meta.url));
const FROZEN = { trains: () => false };

describe.each([
  ["one binding", {}, ["text", "audio-and-video", "av"]],
  // Little more than the widest row: large matrices lie in several chunks (sound needs one chunk).
  ["small bindings", { chunkBytes: 19 * 1024 }, ["text", "image"]],
])("a bf16 checkpoint in f16s, %s", (_name, options, cases) => {
  const device = useDevice(options);

  it("holds the checkpoint's own values, but for a count", async () => {
    const model = await Model.load(device(), folder, { ...FROZEN, storage: "f16s" });
    const store = await openCheckpoint(folder);
    let inexact = 0;
    let matrices = 0;
    for (const [name, parameter] of model.weights.parameters) {
      const want = await store.readF32(name);
      const got = await ModelWeights.read(parameter);
      const different = want.filter((value, i) => value !== got[i]).length;
      if (parameter.value.type === "f32") expect(different, name).toBe(0);
      else matrices++;
      inexact += different;
    }
    await store.close();
    expect(matrices).toBeGreaterThan(50);
    expect(model.weights.inexact).toBe(inexact);
    // A value 2^-17 of the largest and below, which normal deviates hardly ever are.
    expect(inexact).toBeLessThan(20);
    model.weights.destroy();
  });

  it.each(cases)("gives the hidden states of f32: %s", async (name) => {
    const golden = await GoldenCase.open(`tiny-a-${name}`);
    const results = [];
    for (const storage of ["f32", "f16s"] as const) {
      const model = await Model.load(device(), folder, { ...FROZEN, storage });
      const graph = new Graph();
      const { hidden, out } = tokenLogProbs(model.scope(graph), model.config);
      graph.keep("hidden", hidden);
      graph.keep("out", out);
      const { sizes, scalars, inputs } = await goldenFeed(golden, model.config);
      const { "loss.weight": _unused, ...used } = inputs;
      const plan = await Plan.compile(device(), graph, { label: storage, capacity: sizes });
      plan.writeAll(used);
      await plan.run(sizes, scalars);
      const { lossRows: count } = sizes;
      results.push({ hidden: await plan.read("hidden"), out: await plan.read("out", count) });
      plan.destroy();
      model.weights.destroy();
    }
    const [plain, packed] = results;
    expect(relativeL2(packed!.hidden, plain!.hidden)).toBeLessThan(1e-5);
    expect(relativeL2(packed!.out, plain!.out)).toBeLessThan(1e-5);
  });
});
