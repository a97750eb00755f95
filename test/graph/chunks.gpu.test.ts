import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { chunksOf } from "../../src/graph/plan/chunks.ts";
import { Graph } from "../../src/graph/graph.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import { tokenExtent } from "../../src/network/decoder/packed-decoder.ts";
import { loadGoldenModel, relativeL2 } from "../helpers/golden.ts";
import {
  capacityOf,
  EVERYTHING,
  treePrompt,
  packedGroups,
  randomGroup,
  TrainingPass,
  type Group,
} from "../helpers/tree-training.ts";

const names = ["av-slow", "text", "image"];

async function makeGroups(config: FamilyModel, length: number): Promise<Group[]> {
  return Promise.all(
    names.map(async (name, i) => {
      const prompt = await treePrompt("omni/tiny-a", name, config);
      return randomGroup(prompt, [length, 1, length, length + 3], i);
    }),
  );
}

describe("a training pass under small binding limits", () => {
  const devices: Device[] = [];
  let config: FamilyModel;

  async function open(chunkBytes?: number): Promise<Device> {
    const options = chunkBytes === undefined ? {} : { chunkBytes };
    const device = await openDevice({ tier: inject("tier"), ...options });
    devices.push(device);
    return device;
  }

  /** Loss and gradients of one pass on a device of its own. */
  async function train(length: number, chunkBytes?: number) {
    const device = await open(chunkBytes);
    const loaded = await loadGoldenModel(device, "tiny-a", EVERYTHING);
    config = loaded.config;
    const feed = packedGroups(config, await makeGroups(config, length));
    // Room for more than the replay has, so that whole chunks stay empty.
    const capacity = capacityOf([
      feed,
      { ...feed, sizes: { tokens: feed.sizes["tokens"]! * 1.5 } },
    ]);
    const pass = await TrainingPass.compile(device, config, loaded.weights, capacity);
    const loss = await pass.run([feed]);
    return { loss, gradients: await pass.gradients(), tokens: feed.sizes["tokens"]!, pass };
  }

  beforeAll(async () => {
    await open();
  });
  afterAll(() => {
    for (const device of devices) device.close();
  });

  it.each([
    // 1 MiB cuts nothing of this pass but the scratch of weight gradients.
    ["1 MiB", 40, 2 ** 20, 1, 1e-6],
    // Weights, cells, patches and tokens in pieces; mel frames still fit one chunk, as they must. Keys
    // in pieces merge partial softmaxes: other rounding in every layer, as large as that of the goldens
    // (README: 1e-6 to 1e-5 of a gradient).
    ["96 KiB", 120, 96 * 1024, 3, 1e-5],
  ])("of %s gives the same loss and gradients", async (_, length, chunkBytes, least, limit) => {
    const want = await train(length);
    const got = await train(length, chunkBytes);
    const extent = new Graph().input("x", tokenExtent(config), config.text.hiddenSize);
    const used = chunksOf(extent, { tokens: want.tokens }, chunkBytes);
    expect(used.length).toBeGreaterThanOrEqual(least);
    expect(Math.abs(got.loss / want.loss - 1)).toBeLessThan(1e-6);
    for (const [name, gradient] of want.gradients) {
      expect(relativeL2(got.gradients.get(name)!, gradient), name).toBeLessThan(limit);
    }
  });

  it("says what to do when an op needs a tensor in one chunk", async () => {
    await expect(train(1, 40_000)).rejects.toMatchObject({
      name: "ShapeError",
      code: "tensor-in-chunks",
      message: expect.stringMatching(/audio\.mel has \d+ rows of 128.*shorter media/),
    });
  });

  it("says when a row is wider than a binding", async () => {
    await expect(train(1, 16_384)).rejects.toMatchObject({
      name: "ShapeError",
      code: "row-too-wide",
      message: expect.stringContaining("extent cells takes 18816 bytes"),
    });
  });
});
