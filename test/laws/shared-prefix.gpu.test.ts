import { beforeAll, describe, expect, it } from "vitest";
import type { FamilyModel } from "../../src/families/family.ts";
import { AS_GPU, useDevice } from "../helpers/device.ts";
import { loadGoldenModel, relativeL2 } from "../helpers/golden.ts";
import { PROMPTS, type TinyModel } from "../helpers/modalities.ts";
import {
  ADAPTERS,
  capacityOf,
  EVERYTHING,
  packedGroups,
  randomGroup,
  singleSequence,
  stirAdapters,
  TrainingPass,
  treePrompt,
  type Group,
  type PromptWithMedia,
} from "../helpers/tree-training.ts";

/** Loss and gradients of a pass, with the packed trees and one completion at a time. */
async function compareWays(
  pass: TrainingPass,
  config: FamilyModel,
  groups: readonly Group[],
): Promise<void> {
  const packed = await pass.run([packedGroups(config, groups)]);
  const shared = await pass.gradients();
  const singles = groups.flatMap((group) =>
    group.completions.map((_, i) => singleSequence(config, group, i)),
  );
  const alone = await pass.run(singles);
  expect(Math.abs(packed - alone) / Math.abs(alone)).toBeLessThan(1e-5);
  const used = new Set(["model", "lm_head"]);
  if (groups.some(({ pictures }) => pictures.length > 0)) used.add("visual");
  if (groups.some(({ clips }) => clips.length > 0)) {
    used.add("audio_tower").add("multi_modal_projector");
  }
  for (const [name, want] of await pass.gradients()) {
    // The worst is 4.8e-6 under the software driver, of key biases, whose gradients cancel.
    expect(relativeL2(shared.get(name)!, want), name).toBeLessThan(1e-5);
    const trained = want.some((value) => value !== 0);
    expect(trained, `${name} has a gradient`).toBe(used.has(name.split(".")[0]!));
  }
}

/** Lengths of the completions of a group: unequal, some of a single token, which adds no row. */
const LENGTHS = [
  [7, 1, 12],
  [3, 3, 9, 2],
  [1, 1],
  [5, 11],
  [1, 1, 1, 8],
];
const lengthsOf = (place: number) => LENGTHS[place % LENGTHS.length]!;

const MODELS = Object.keys(PROMPTS) as TinyModel[];

describe.each([
  ["this device's kernels", {}, MODELS],
  ["a GPU's kernels", AS_GPU, ["omni/tiny-b"] as const],
])("law 5: a shared prompt trains like one completion at a time, with %s", (_, options, models) => {
  const device = useDevice(options);
  describe.each(models)("%s", (model) => {
    const names = PROMPTS[model];
    const prompts = new Map<string, PromptWithMedia>();
    let pass: TrainingPass;
    let config: FamilyModel;
    beforeAll(async () => {
      const loaded = await loadGoldenModel(device(), model, EVERYTHING);
      config = loaded.config;
      for (const name of names) prompts.set(name, await treePrompt(model, name, config));
      const all = [...prompts.values()].map((prompt) => randomGroup(prompt, [12, 12, 12], 0));
      const capacity = capacityOf([packedGroups(config, all)]);
      pass = await TrainingPass.compile(device(), config, loaded.weights, capacity);
    });

    it.each(names.map((name, i) => [name, lengthsOf(i)] as const))(
      "%s with completions of %j tokens",
      async (name, lengths) => {
        await compareWays(pass, config, [randomGroup(prompts.get(name)!, lengths, 5)]);
      },
    );

    const together = () =>
      names.map((name, i) => randomGroup(prompts.get(name)!, lengthsOf(i + 3), i));

    it("all prompts as trees of one pass", () => compareWays(pass, config, together()));

    it("adapters of decoder and towers, on frozen weights of f16s", async () => {
      const { weights } = await loadGoldenModel(device(), model, ADAPTERS);
      stirAdapters(weights);
      // The last ones hold every medium that the family takes.
      const groups = together().slice(-4);
      const capacity = capacityOf([packedGroups(config, groups)]);
      const adapted = await TrainingPass.compile(device(), config, weights, capacity);
      await compareWays(adapted, config, groups);
      adapted.plan.destroy();
      weights.destroy();
    });
  });
});
