import { describe, expect, it } from "vitest";
import { Model } from "../../src/model/model.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { DEFAULT_SAMPLING } from "../../src/rollout/types.ts";
import { AS_GPU, useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenSample, loadGoldenModel } from "../helpers/golden.ts";

/** Greedy files of the families, and the prompts in each. */
const FILES = [
  { model: "omni/tiny-a", prompts: ["text", "image", "av"] },
  { model: "vl/tiny-a", prompts: ["text", "image-and-video", "video-fraction"] },
  { model: "vl/tiny-b", prompts: ["text", "image-and-video", "video-fraction"] },
  { model: "qwen2-audio/tiny-a", prompts: ["text", "audio", "two-clips"] },
];

describe.each([
  ["this device's kernels", {}, FILES],
  ["a GPU's kernels", AS_GPU, FILES.slice(0, 1)],
])(
  "32 greedy tokens of unequal prompts are those of transformers, with %s",
  (_, options, files) => {
    const device = useDevice(options);

    it.each(files)("$model", async ({ model: name, prompts }) => {
      const { config, weights } = await loadGoldenModel(device(), name);
      const greedy = await GoldenCase.open(`${name}-greedy`);
      const requests = [];
      for (const prompt of prompts) {
        const [length] = await greedy.integers(`${prompt}.prompt_length`);
        const [next] = await greedy.integers(`${prompt}.next_position`);
        const golden = await GoldenCase.open(`${name}-${prompt}`);
        const sample = await goldenSample(golden, config, prompt, length!, next!);
        requests.push({ sample, generations: 2, draw: 0 });
      }
      const { audio, image, video } = config.tokens;
      const { vocabSize } = config.text;
      const generator = new Generator(new Model(device(), config, weights), {
        // No token ends a completion, so that all 32 golden tokens are made.
        eosIds: [vocabSize],
        padId: 0,
        placeholderIds: [audio, image, video].filter((id) => id !== undefined),
        vocabSize,
      });
      const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: 32 };
      const results = await generator.generate(requests, options);
      for (const [i, prompt] of prompts.entries()) {
        const want = [...(await greedy.integers(`${prompt}.tokens`))];
        for (const completion of results[i]!) expect(completion.ids, prompt).toEqual(want);
      }
      generator.destroy();
      weights.destroy();
    });
  },
);
