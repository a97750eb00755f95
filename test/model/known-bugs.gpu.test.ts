/** Failures of other stacks (docs/failures.md), where a model must run to show them. */
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { Model } from "../../src/model/model.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import { Generator } from "../../src/rollout/generator.ts";
import type { TokenFacts } from "../../src/rollout/token-facts.ts";
import { DEFAULT_SAMPLING } from "../../src/rollout/types.ts";
import { GoldenCase, goldenSample, loadGoldenModel } from "../helpers/golden.ts";

const PROMPTS = ["av", "text", "image"] as const;

describe("known bugs of other stacks", () => {
  let device: Device;
  let model: Model;
  let greedy: GoldenCase;
  let facts: TokenFacts;
  const samples: Sample[] = [];
  beforeAll(async () => {
    device = await openDevice({ tier: inject("tier") });
    const { config, weights } = await loadGoldenModel(device, "tiny-a");
    model = new Model(device, config, weights);
    greedy = await GoldenCase.open("tiny-a-greedy");
    for (const name of PROMPTS) {
      const [length] = await greedy.integers(`${name}.prompt_length`);
      const [next] = await greedy.integers(`${name}.next_position`);
      const golden = await GoldenCase.open(`tiny-a-${name}`);
      samples.push(await goldenSample(golden, config, name, length!, next!));
    }
    const { audio, image, video } = config.tokens;
    const { vocabSize } = config.text;
    facts = { eosIds: [vocabSize], padId: 0, placeholderIds: [audio!, image!, video!], vocabSize };
  });
  afterAll(() => device?.close());

  async function generate(which: Sample[], change: Partial<TokenFacts>, sampling: object) {
    const generator = new Generator(model, { ...facts, ...change });
    const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: 8, ...sampling };
    const requests = which.map((sample) => ({ sample, generations: 4, draw: 0 }));
    const groups = await generator.generate(requests, options);
    generator.destroy();
    return groups.map((group) => group.map(({ ids, logProbs }) => ({ ids, logProbs })));
  }

  // Padding an embedding or a position of the shorter prompts would change their first tokens.
  it("F16: prompts of unequal length in a batch answer as transformers does for each alone", async () => {
    const groups = await generate(samples, {}, {});
    for (const [i, name] of PROMPTS.entries()) {
      const want = [...(await greedy.integers(`${name}.tokens`))].slice(0, 8);
      for (const { ids } of groups[i]!) expect(ids, name).toEqual(want);
    }
  });

  // Features or lengths counted over the batch as over one row would mix up or run out of rows.
  it("F6: several samples with media in one pass, in any order", async () => {
    const [av, , image] = samples as [Sample, Sample, Sample];
    const [want] = await generate([av], {}, {});
    const groups = await generate([image, av, image, av], {}, {});
    expect(groups[1]!.map(({ ids }) => ids)).toEqual(want!.map(({ ids }) => ids));
    expect(groups[3]!.map(({ ids }) => ids)).toEqual(want!.map(({ ids }) => ids));
    expect(groups[0]).toEqual(groups[2]);
  });

  // Without the ban a nearly uniform draw of 128 tokens hits one of 3 or of the upper half.
  it("F15: a placeholder is not sampled; F25: nor a padded row of the vocabulary", async () => {
    const vocabSize = Math.floor(facts.vocabSize / 2);
    const few = Array.from({ length: 8 }, (_, i) => i);
    const groups = await generate(
      samples,
      { vocabSize, placeholderIds: [...facts.placeholderIds, ...few] },
      { temperature: 100, maxNewTokens: 32, seed: 1 },
    );
    const ids = groups.flat().flatMap((completion) => completion.ids);
    expect(ids.length).toBe(PROMPTS.length * 4 * 32);
    expect(ids.filter((id) => id >= vocabSize || few.includes(id))).toEqual([]);
  });

  // A stack that drops the sound of mixed rows gives the same numbers for another sound.
  it("F24: sound beside pictures changes what is answered", async () => {
    const [av] = samples as [Sample];
    const silent = {
      ...av,
      mel: av.mel.map((clip) => ({ ...clip, data: new Float32Array(clip.data.length).fill(-1.5) })),
    };
    const [[heard], [unheard]] = (await generate([av, silent], {}, {})) as any;
    expect(Math.abs(heard.logProbs[0] - unheard.logProbs[0])).toBeGreaterThan(1e-3);
  });
});
