import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/core/random.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import type { Feed } from "../../src/network/feed.ts";
import type { ModelWeights } from "../../src/checkpoint/weights.ts";
import { useDevice } from "../helpers/device.ts";
import { loadGoldenModel } from "../helpers/golden.ts";
import { OMNI_GOLDENS } from "../helpers/modalities.ts";
import {
  capacityOf,
  EVERYTHING,
  treePrompt,
  packedGroups,
  randomGroup,
  TrainingPass,
  type PromptWithMedia,
} from "../helpers/tree-training.ts";

describe("one plan for every mix of lengths", () => {
  const device = useDevice();
  let config: FamilyModel;
  let weights: ModelWeights;
  let feeds: Feed[];
  beforeAll(async () => {
    ({ config, weights } = await loadGoldenModel(device(), "tiny-a", EVERYTHING));
    const prompts: PromptWithMedia[] = [];
    for (const name of OMNI_GOLDENS) prompts.push(await treePrompt("omni/tiny-a", name, config));
    const random = new Random(2026, "data");
    feeds = Array.from({ length: 100 }, (_, mix) => {
      const groups = Array.from({ length: 1 + random.integer(3) }, () => {
        const lengths = Array.from({ length: 1 + random.integer(8) }, () => 1 + random.integer(14));
        return randomGroup(prompts[random.integer(prompts.length)]!, lengths, mix);
      });
      return packedGroups(config, groups);
    });
  });

  it("100 random mixes create nothing after warm-up and equal a plan of exact capacity", async () => {
    const pass = await TrainingPass.compile(device(), config, weights, capacityOf(feeds));
    await pass.run([feeds[0]!]);
    const { buffers, bufferBytes, bindGroups, pipelines } = device().counters;
    const made = { buffers, bufferBytes, bindGroups, pipelines };
    const samples = new Map<number, { loss: number; gradients: Map<string, Float32Array> }>();
    for (const [mix, feed] of feeds.entries()) {
      const loss = await pass.run([feed]);
      expect(Number.isFinite(loss)).toBe(true);
      if (mix % 20 === 7) samples.set(mix, { loss, gradients: await pass.gradients() });
    }
    expect(device().counters).toMatchObject(made);
    for (const [mix, { loss, gradients }] of samples) {
      const exact = feeds[mix]!;
      const fresh = await TrainingPass.compile(device(), config, weights, exact.sizes);
      // The order of every sum depends on the actual sizes alone, so even the bits are the same.
      expect(await fresh.run([exact]), `loss of mix ${mix}`).toBe(loss);
      for (const [name, want] of await fresh.gradients()) {
        expect(gradients.get(name), `mix ${mix}: ${name}`).toEqual(want);
      }
      fresh.plan.destroy();
    }
    expect(device().counters.pipelines).toBe(made.pipelines);
  });
});
