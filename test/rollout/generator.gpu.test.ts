import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { Model } from "../../src/model/model.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import { Generator } from "../../src/rollout/generator.ts";
import type { TokenFacts } from "../../src/rollout/token-facts.ts";
import { DEFAULT_SAMPLING } from "../../src/rollout/types.ts";
import { openPrompt } from "../helpers/modalities.ts";
import { GoldenCase, goldenSample, loadGoldenModel } from "../helpers/golden.ts";

const PROMPTS = ["text", "image", "av"] as const;

describe("generation on a golden model", () => {
  let device: Device;
  let model: Model;
  let greedy: GoldenCase;
  let samples: Sample[];
  let facts: TokenFacts;
  beforeAll(async () => {
    device = await openDevice({ tier: inject("tier") });
    const { config, weights } = await loadGoldenModel(device, "tiny-a");
    model = new Model(device, config, weights);
    greedy = await GoldenCase.open("tiny-a-greedy");
    samples = [];
    for (const name of PROMPTS) {
      const [length] = await greedy.integers(`${name}.prompt_length`);
      const [next] = await greedy.integers(`${name}.next_position`);
      const golden = await GoldenCase.open(`tiny-a-${name}`);
      samples.push(await goldenSample(golden, config, name, length!, next!));
    }
    const { audio, image, video } = config.tokens;
    const vocabSize = config.text.vocabSize;
    // No token ends a completion, so that all 32 golden tokens are made.
    facts = { eosIds: [vocabSize], padId: 0, placeholderIds: [audio!, image!, video!], vocabSize };
  });
  afterAll(() => device?.close());

  it("gives transformers' 32 greedy tokens for prompts of unequal length in one batch", async () => {
    const generator = new Generator(model, facts);
    const requests = samples.map((sample) => ({ sample, generations: 2, draw: 0 }));
    const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: 32 };
    const results = await generator.generate(requests, options);
    for (const [i, name] of PROMPTS.entries()) {
      const want = [...(await greedy.integers(`${name}.tokens`))];
      for (const completion of results[i]!) expect(completion.ids, name).toEqual(want);
    }
    generator.destroy();
  });

  it("law 7: draws differ, and a group does not depend on its batch", async () => {
    const generator = new Generator(model, facts);
    const options = { ...DEFAULT_SAMPLING, maxNewTokens: 8, seed: 9 };
    const run = async (list: readonly Sample[], draw: number) =>
      (
        await generator.generate(
          list.map((sample) => ({ sample, generations: 3, draw })),
          options,
        )
      ).map((group) => group.map(({ ids }) => ids.join(" ")));
    const together = await run(samples, 1);
    const alone = await run([samples[2]!], 1);
    expect(alone[0]).toEqual(together[2]);
    expect((await run([samples[2]!], 2))[0]).not.toEqual(alone[0]);
    expect(new Set(alone[0]).size).toBe(3);
    const twin = { ...samples[2]!, id: "another clip with the same text" };
    expect((await run([twin], 1))[0]).not.toEqual(alone[0]);
    generator.destroy();
  });

  it("takes turns where a batch would be too large, with the same choices and no new buffers", async () => {
    const options = { ...DEFAULT_SAMPLING, maxNewTokens: 8, seed: 9 };
    const requests = samples.map((sample) => ({ sample, generations: 3, draw: 1 }));
    const whole = new Generator(model, facts);
    const want = await whole.generate(requests, options);
    expect(whole.features!.offsetsOf(samples)).toHaveLength(samples.length);
    // Room for the largest of the three prompts with its completions, or for the two others.
    const sizes = samples.map(({ inputIds }) => inputIds.length + 3 * 8);
    const parts = new Generator(model, facts, Math.max(...sizes));
    const { counters } = device;
    const got = await parts.generate(requests, options);
    expect(parts.features!.offsetsOf(samples)).toBeUndefined();
    expect(parts.features!.offsetsOf(samples.slice(-1))).toEqual([{ vision: 0, audio: 0 }]);
    expect(parts.buffers!.sizes.tokens).toBeLessThan(whole.buffers!.sizes.tokens);
    expect(got.map((group) => group.map(({ ids }) => ids))).toEqual(
      want.map((group) => group.map(({ ids }) => ids)),
    );
    const made = { ...counters };
    await parts.generate(requests, options);
    for (const name of ["buffers", "bindGroups", "pipelines"] as const) {
      expect(counters[name], name).toBe(made[name]);
    }
    whole.destroy();
    parts.destroy();
  });

  it.each(["vl/tiny-a", "qwen2-audio/tiny-a"] as const)(
    "%s, which lacks a tower, keeps its buffers and plans from call to call",
    async (name) => {
      const { config, weights } = await loadGoldenModel(device, name);
      const other = new Model(device, config, weights);
      const { vocabSize } = config.text;
      const generator = new Generator(other, { ...facts, placeholderIds: [], vocabSize });
      const sample = await openPrompt(name, "text", config);
      const run = () =>
        generator.generate([{ sample, generations: 2, draw: 0 }], {
          ...{ ...DEFAULT_SAMPLING, maxNewTokens: 4 },
        });
      await run();
      const { buffers } = generator;
      const made = { ...device.counters };
      await run();
      expect(generator.buffers).toBe(buffers);
      expect(device.counters.bindGroups).toBe(made.bindGroups);
      generator.destroy();
      weights.destroy();
    },
  );

  it("law 3: a placeholder is never emitted, however likely, and the banned mass is reported", async () => {
    const generator = new Generator(model, { ...facts, vocabSize: 100, placeholderIds: [3, 5] });
    const options = { ...DEFAULT_SAMPLING, temperature: 2, maxNewTokens: 32 };
    const requests = samples.map((sample) => ({ sample, generations: 16, draw: 0 }));
    const completions = (await generator.generate(requests, options)).flat();
    for (const { ids, bannedMass } of completions) {
      expect(ids.every((id) => id < 100 && id !== 3 && id !== 5)).toBe(true);
      expect(Math.min(...bannedMass)).toBeGreaterThan(0.01);
    }
    generator.destroy();
  });
});
