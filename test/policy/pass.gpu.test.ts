import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { nllLoss } from "../../src/ops/loss.ts";
import { Model } from "../../src/model/model.ts";
import { trainingPass } from "../../src/policy/pass.ts";
import { GoldenCase, goldenFeed, loadGoldenModel } from "../helpers/golden.ts";

describe("training pass", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice({ tier: inject("tier") });
  });
  afterAll(() => device?.close());

  it("gradient checkpointing gives the same bits for more work", async () => {
    const runs = [];
    for (const gradientCheckpointing of [false, true]) {
      const { config, weights } = await loadGoldenModel(device, "tiny-a", {
        trains: (name) => !name.includes("audio_bos_eos"),
      });
      const model = new Model(device, config, weights);
      const feed = await goldenFeed(await GoldenCase.open("tiny-a-av"), config);
      const pass = trainingPass(
        model,
        "checkpointing",
        (graph, out, rows) => nllLoss(graph, out, graph.input("loss.weight", rows, 1)),
        { gradientCheckpointing },
      );
      device.submit((encoder) => weights.clearGradients(encoder));
      const replay = { ...feed, scalars: { ...feed.scalars, inverseTemperature: 1 } };
      const plan = await pass.run(replay);
      const gradients = [];
      for (const { gradient } of weights.trained) gradients.push(await gradient!.download());
      runs.push({ gradients, report: plan.report(replay.sizes, replay.scalars) });
      pass.destroy();
      weights.destroy();
    }
    const [kept, again] = runs;
    expect(again!.gradients).toEqual(kept!.gradients);
    expect(again!.report.flops).toBeGreaterThan(kept!.report.flops);
    expect(again!.report.unsharedBytes).toBeGreaterThan(kept!.report.unsharedBytes);
  });
});
