import { beforeAll, describe, expect, it } from "vitest";
import type { ModelConfig } from "../../src/models/config.ts";
import { useDevice } from "../helpers/device.ts";
import { loadGoldenModel, relativeL2 } from "../helpers/golden.ts";
import {
  capacityOf,
  EVERYTHING,
  goldenPrompt,
  packedGroups,
  PROMPT_CASES,
  randomGroup,
  singleSequence,
  TrainingPass,
  type GoldenPrompt,
  type Group,
} from "../helpers/tree-training.ts";

/** Loss and gradients of a pass, with the packed trees and one completion at a time. */
async function compareWays(
  pass: TrainingPass,
  config: ModelConfig,
  groups: readonly Group[],
): Promise<void> {
  const packed = await pass.run([packedGroups(config, groups)]);
  const shared = await pass.gradients();
  const singles = groups.flatMap((group) =>
    group.completions.map((_, i) => singleSequence(config, group, i)),
  );
  const alone = await pass.run(singles);
  expect(Math.abs(packed - alone) / Math.abs(alone)).toBeLessThan(1e-5);
  let trained = 0;
  for (const [name, want] of await pass.gradients()) {
    const distance = relativeL2(shared.get(name)!, want);
    expect(distance, name).toBeLessThan(1e-5);
    if (want.some((value) => value !== 0)) trained++;
  }
  expect(trained).toBeGreaterThan(30);
}

/** Lengths of the completions of a group: unequal, one of a single token. */
const LENGTHS = [[7, 1, 12], [3, 3, 9, 2], [1], [5, 11], [1, 1, 1, 8]];

describe.each([
  ["tiny-a", PROMPT_CASES],
  ["tiny-b", ["text", "av"]],
] as const)(
  "law 5 with %s: a shared prompt trains like one completion at a time",
  (model, cases) => {
    const device = useDevice();
    let pass: TrainingPass;
    let config: ModelConfig;
    const prompts = new Map<string, GoldenPrompt>();
    beforeAll(async () => {
      const loaded = await loadGoldenModel(device(), model, EVERYTHING);
      config = loaded.config;
      for (const name of cases) prompts.set(name, await goldenPrompt(`${model}-${name}`, config));
      const all = [...prompts.values()].map((prompt) => randomGroup(prompt, [12, 12, 12], 0));
      const capacity = capacityOf([packedGroups(config, all)]);
      pass = await TrainingPass.compile(device(), config, loaded.weights, capacity);
    });

    it.each(cases.map((name, i) => [name, LENGTHS[i % LENGTHS.length]!] as const))(
      "%s with completions of %j tokens",
      async (name, lengths) => {
        await compareWays(pass, config, [randomGroup(prompts.get(name)!, lengths, 5)]);
      },
    );

    it("several trees in one pass", async () => {
      const groups = cases
        .slice(-4)
        .map((name, i) => randomGroup(prompts.get(name)!, LENGTHS[i]!, i));
      await compareWays(pass, config, groups);
    });
  },
);
