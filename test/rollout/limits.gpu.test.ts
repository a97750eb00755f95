import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { Model } from "../../src/model/model.ts";
import { decodeLimits } from "../../src/network/decoder/decode.ts";
import { tokenExtent } from "../../src/network/decoder/packed-decoder.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import { Generator } from "../../src/rollout/generator.ts";
import {
  DEFAULT_SAMPLING,
  type GenerationRequest,
  type SamplingOptions,
} from "../../src/rollout/types.ts";
import { loadGoldenModel } from "../helpers/golden.ts";

const GREEDY = { ...DEFAULT_SAMPLING, temperature: 0 };

/** A prompt of plain text, of any length. */
function textSample(length: number, id: string): Sample {
  return {
    id,
    inputIds: Uint32Array.from({ length }, (_, i) => 10 + ((i * 7) % 60)),
    positions: Int32Array.from({ length: 3 * length }, (_, i) => i % length),
    nextPos: length,
    placeholders: [],
    visionRows: new Uint32Array(0),
    audioRows: new Uint32Array(0),
    patches: new Float32Array(0),
    grids: [],
    mel: [],
    ledger: [],
    warnings: [],
  };
}

/** A generator of a golden model on a device of its own. */
async function open(chunkBytes?: number) {
  const device = await openDevice({
    tier: inject("tier"),
    ...(chunkBytes !== undefined && { chunkBytes }),
  });
  const { config, weights } = await loadGoldenModel(device, "tiny-a");
  const model = new Model(device, config, weights);
  const { vocabSize } = config.text;
  // No token ends a completion.
  const generator = new Generator(model, {
    eosIds: [vocabSize],
    padId: 0,
    placeholderIds: [],
    vocabSize,
  });
  const generate = (requests: readonly GenerationRequest[], options: SamplingOptions) =>
    generator.generate(requests, options);
  return { device, model, config, weights, generator, generate };
}

const SMALL = 64 * 1024;
const devices: Device[] = [];
let large: Awaited<ReturnType<typeof open>>;
let small: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  [large, small] = [await open(), await open(SMALL)];
  devices.push(large.device, small.device);
});
afterAll(() => {
  for (const device of devices) device.close();
});

const ask = (sample: Sample, generations = 1): GenerationRequest[] => [
  { sample, generations, draw: 0 },
];

describe("generation", () => {
  it("makes completions that are longer than a quarter of the vocabulary", async () => {
    const sample = textSample(12, "text");
    const { vocabSize } = large.config.text;
    const length = Math.floor(vocabSize / 4) + 1;
    const idsOf = async (maxNewTokens: number) => {
      const [group] = await large.generate(ask(sample), { ...GREEDY, maxNewTokens });
      return group![0]!.ids;
    };
    const [long, short] = [await idsOf(length), await idsOf(16)];
    expect(long.length).toBe(length);
    expect(long.slice(0, 16)).toEqual(short);
  });

  it("takes a prompt whose activations need several bindings: its keys need one", async () => {
    const sample = textSample(300, "long");
    expect(tokenExtent(small.config).unitsPerChunk(SMALL)).toBeLessThan(150);
    const options = { ...GREEDY, maxNewTokens: 12 };
    const [want] = await large.generate(ask(sample, 2), options);
    const [got] = await small.generate(ask(sample, 2), options);
    for (const [i, { ids, logProbs }] of want!.entries()) {
      expect(got![i]!.ids).toEqual(ids);
      logProbs.forEach((value, t) => expect(got![i]!.logProbs[t]).toBeCloseTo(value, 4));
    }
  });

  it("takes turns where the device holds fewer completions or prompts at once", async () => {
    const options = { ...DEFAULT_SAMPLING, maxNewTokens: 8, seed: 5 };
    const limits = decodeLimits(small.config, SMALL, 8);
    const generations = Math.floor(limits.rows / 2) - 1;
    const length = Math.floor(limits.tokens / 2) - 1;
    const requests = ["a", "b", "c", "d", "e"].map((id, i) => ({
      sample: textSample(i < 3 ? length : 5, id),
      generations: i < 3 ? 2 : generations,
      draw: 0,
    }));
    const ids = (groups: { ids: number[] }[][]) =>
      groups.map((group) => group.map((one) => one.ids));
    const want = await large.generate(requests, options);
    expect(ids(await small.generate(requests, options))).toEqual(ids(want));
    const samples = requests.map(({ sample }) => sample);
    expect(small.generator.features!.offsetsOf(samples)).toBeUndefined();
  });

  it("goes on after a call that could not plan its batch", async () => {
    const { weights, generate } = large;
    const head = weights.parameters.get("lm_head.weight")!;
    const sample = textSample(9, "text");
    // Another length of completion needs new plans.
    const options = { ...GREEDY, maxNewTokens: 7 };
    weights.parameters.delete("lm_head.weight");
    const { bufferBytes } = large.device.counters;
    await expect(generate(ask(sample), options)).rejects.toThrow("lm_head.weight");
    expect(large.device.counters.bufferBytes).toBeLessThanOrEqual(bufferBytes);
    weights.parameters.set("lm_head.weight", head);
    const [group] = await generate(ask(sample), options);
    expect(group![0]!.ids.length).toBe(7);
  });

  it("keeps room for many short completions apart from that for a few long ones", async () => {
    const sample = textSample(9, "text");
    const { rows } = decodeLimits(small.config, SMALL, 2);
    await small.generate(ask(sample, rows), { ...GREEDY, maxNewTokens: 2 });
    const [group] = await small.generate(ask(sample, 2), { ...GREEDY, maxNewTokens: 40 });
    expect(group![0]!.ids.length).toBe(40);
  });
});

describe("what the device cannot hold is refused in words", () => {
  it("completions", async () => {
    const sample = textSample(9, "text");
    const { rows } = decodeLimits(small.config, SMALL, 8);
    const options = { ...GREEDY, maxNewTokens: 8 };
    await expect(small.generate(ask(sample, rows + 1), options)).rejects.toMatchObject({
      name: "ConfigError",
      code: "too-many-completions",
      message: expect.stringMatching(new RegExp(`^${rows + 1} completions.*holds ${rows} of them`)),
      hint: expect.stringContaining(`train.num_generations, or generations, to at most ${rows}`),
    });
    expect(() => small.generator.checkRoom(rows, 8)).not.toThrow();
    expect(() => small.generator.checkRoom(100_000, 8)).toThrow("100000 completions");
    expect((await small.generate(ask(sample, 3), options))[0]!.length).toBe(3);
  });

  it("tokens of a completion", async () => {
    const { capacity } = decodeLimits(small.config, SMALL, 1);
    const check = (tokens: number) => () => small.generator.checkRoom(1, tokens);
    expect(check(capacity)).not.toThrow();
    expect(check(capacity + 1)).toThrow(`up to ${capacity + 1} tokens does not fit`);
    await expect(
      small.generate(ask(textSample(9, "text")), { ...GREEDY, maxNewTokens: 2 ** 31 }),
    ).rejects.toMatchObject({
      code: "completion-too-long",
      hint: `Set rollout.max_completion_length, or maxNewTokens, to at most ${capacity}.`,
    });
  });

  it("tokens of a prompt, with the row's name", async () => {
    const { tokens } = decodeLimits(small.config, SMALL, 8);
    const sample = textSample(tokens + 1, "clips/long.mp4");
    await expect(small.generate(ask(sample), { ...GREEDY, maxNewTokens: 8 })).rejects.toMatchObject(
      {
        name: "DataError",
        code: "prompt-too-long",
        message: expect.stringMatching(/^clips\/long\.mp4: a prompt of \d+ tokens/),
      },
    );
  });
});
