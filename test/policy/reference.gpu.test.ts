import { join } from "node:path";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import { Events } from "../../src/core/events.ts";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import type { Model } from "../../src/model/model.ts";
import { Processor } from "../../src/model/processor.ts";
import { ModelWeights } from "../../src/checkpoint/weights.ts";
import {
  restoreTrainingState,
  type TrainedParts,
  writeTrainingState,
} from "../../src/run/checkpoint.ts";
import { AdamW } from "../../src/train/optimizer.ts";
import { scoringPass } from "../../src/policy/pass.ts";
import { Reference } from "../../src/policy/reference.ts";
import { loadTrained } from "../../src/run/parts.ts";
import { STATE_VERSION } from "../../src/run/state.ts";
import { completionBranch } from "../../src/network/decoder/packed.ts";
import { mergeFeeds, type Feed } from "../../src/network/feed.ts";
import { openDataset } from "../../src/datasets/tiny/open.ts";
import { useDevice } from "../helpers/device.ts";
import { tinyData, TinyWorkplace } from "../helpers/tiny-run.ts";

const MATRIX = "model.layers.1.mlp.up_proj.weight";
const VECTOR = "model.layers.1.input_layernorm.weight";

describe("the reference policy of a full training", () => {
  const device = useDevice();
  const place = new TinyWorkplace();
  let config: RunConfig;
  beforeAll(async () => {
    await place.make();
    config = place.config({ train: { tune_mm_vision: true } });
  });
  afterAll(() => place.remove());

  const load = () => loadTrained(device(), config.model.path, config, new Events());
  const parameter = (model: Model, name: string) => model.weights.parameters.get(name)!;

  /** Reads the values of a reference by name, wherever it keeps them. */
  async function valuesOf({ weights }: Reference, name: string): Promise<Float32Array> {
    const placed = weights.parameters.get(name)!;
    return "value" in placed ? placed.value.download() : placed.values.slice();
  }

  /** Makes the inputs of a pass over a clip with a completion. */
  async function feedOf(model: Model): Promise<Feed> {
    const processor = await Processor.load(config.model.path);
    const data = tinyData(config);
    const dataset = await openDataset("train", data, [0], data.folder, new Events());
    const sample = await new SampleLoader(processor).load(dataset.row(0));
    return mergeFeeds(
      model.mediaFeed([sample]),
      model.treeFeed([{ prompt: sample, branches: [completionBranch([7, 300, 21, 5])] }]),
      { inputs: {}, sizes: {}, scalars: { inverseTemperature: 1, adapter: 0 } },
    );
  }

  async function logProbs(model: Model, weights: Reference["weights"]): Promise<Float32Array> {
    const pass = scoringPass(model, "reference", weights);
    const out = await (await pass.run(await feedOf(model))).read("logProbs", 4);
    pass.destroy();
    return out;
  }

  /** A checkpoint after the first step. */
  async function save(folder: string, parts: TrainedParts): Promise<void> {
    await mkdir(folder);
    const base = { folder: place.model, name: place.model, revision: null };
    await writeTrainingState(
      folder,
      { ...parts, base },
      {
        ...{ version: STATE_VERSION, task: "grpo", step: 1, stage: 0, draw: 1 },
        ...{
          samplesConsumed: 2,
          entropyControl: null,
          numTokens: 0,
          seconds: 0,
          data: "",
          before: null,
        },
        logs: { bytes: {}, pending: {} },
      },
    );
  }

  /** Changes every weight that trains, each by its own amount. */
  async function move(model: Model): Promise<void> {
    for (const [i, trained] of model.weights.trained.entries()) {
      const values = await ModelWeights.read(trained);
      ModelWeights.write(
        trained,
        values.map((value) => value + 0.01 * (1 + (i % 3))),
      );
    }
  }

  it.each([false, true])("stays where training began (offload %s)", async (offload) => {
    const model = await load();
    const want = await logProbs(model, model.weights);
    const reference = await Reference.of(model, { offload });
    await move(model);
    expect(await logProbs(model, model.weights)).not.toEqual(want);
    expect(await logProbs(model, reference.weights)).toEqual(want);
    reference.destroy();
    model.weights.destroy();
  });

  it("shares what is frozen, and keeps matrices off the GPU with offload, in one shared buffer", async () => {
    const model = await load();
    const { counters } = device();
    const { trained } = model.weights;
    const bytes = (list: typeof trained) => list.reduce((sum, { value }) => sum + value.bytes, 0);
    const vectors = trained.filter(({ shape }) => shape.length === 1);
    const made = async (offload: boolean) => {
      const before = counters.bufferBytes;
      const reference = await Reference.of(model, { offload });
      const held = counters.bufferBytes - before;
      const pass = scoringPass(model, "reference", reference.weights);
      const { sizes, scalars } = await feedOf(model);
      await pass.reserve(sizes);
      const { activationBytes: activations } = pass.report(sizes, scalars);
      pass.destroy();
      reference.destroy();
      expect(counters.bufferBytes).toBe(before);
      return { held, activations };
    };
    const resident = await made(false);
    const streamed = await made(true);
    expect(resident.held).toBe(bytes(trained));
    expect(streamed.held).toBe(bytes(vectors));
    // Whatever the number of layers, a fetched weight takes the place of another one.
    const matrices = bytes(trained) - bytes(vectors);
    expect(streamed.activations - resident.activations).toBeLessThan(matrices / 2);
    expect(streamed.activations).toBeGreaterThan(resident.activations);
    model.weights.destroy();
  });

  it.each([false, true])(
    "moves to alpha of the policy and the rest of itself (offload %s), and a checkpoint holds it",
    async (offload) => {
      const model = await load();
      const reference = await Reference.of(model, { offload });
      const before = new Map<string, Float32Array>();
      for (const name of [MATRIX, VECTOR]) before.set(name, await valuesOf(reference, name));
      await move(model);
      await reference.synchronise(0.6);
      for (const [name, old] of before) {
        const policy = await parameter(model, name).value.download();
        const want = old.map((value, i) => 0.6 * policy[i]! + 0.4 * value);
        expect(want).not.toEqual(old);
        expect(await valuesOf(reference, name), name).toEqual(want);
      }
      const scores = await logProbs(model, reference.weights);
      const optimizer = await AdamW.create(device(), model.weights.trained, config.train);
      const folder = place.path(`moved-${offload}`);
      await save(folder, { model, optimizer, reference });
      await reference.synchronise(1);
      expect(await logProbs(model, reference.weights)).not.toEqual(scores);
      // Its place is no part of the state: the other kind reads the same file.
      const other = await Reference.of(model, { offload: !offload });
      await restoreTrainingState(folder, { model, optimizer, reference: other });
      expect(await logProbs(model, other.weights)).toEqual(scores);
      reference.destroy();
      other.destroy();
      optimizer.destroy();
      model.weights.destroy();
    },
  );

  it("that is not finite is not saved; of what is read back the file and tensor are named", async () => {
    const model = await load();
    const optimizer = await AdamW.create(device(), model.weights.trained, config.train);
    const reference = await Reference.of(model, { offload: false });
    const folder = place.path("finite");
    await save(folder, { model, optimizer, reference });
    for (const name of ["optimizer", "reference", "model"]) {
      const file = join(folder, `${name}.safetensors`);
      const whole = await readFile(file);
      const bad = Buffer.from(whole);
      bad.writeFloatLE(NaN, bad.length - 4);
      await writeFile(file, bad);
      const restoring = restoreTrainingState(folder, { model, optimizer, reference });
      await expect(restoring).rejects.toMatchObject({
        code: "non-finite",
        message: expect.stringMatching(
          new RegExp(`${name}.safetensors.*: 1 of \\d+ values are not finite\\. Remove`),
        ),
      });
      await writeFile(file, whole);
    }
    const [first] = model.weights.trained;
    const good = await ModelWeights.read(first!);
    ModelWeights.write(
      first!,
      good.map(() => Infinity),
    );
    await reference.synchronise(1);
    ModelWeights.write(first!, good);
    await expect(
      save(place.path("infinite"), { model, optimizer, reference }),
    ).rejects.toMatchObject({ code: "non-finite", message: expect.stringContaining("reference") });
    reference.destroy();
    optimizer.destroy();
    model.weights.destroy();
  });

  it("is missed by name where a checkpoint lacks it", async () => {
    const model = await load();
    const optimizer = await AdamW.create(device(), model.weights.trained, config.train);
    const reference = await Reference.of(model, { offload: false });
    const folder = place.path("unmoved");
    await save(folder, { model, optimizer });
    await expect(
      restoreTrainingState(folder, { model, optimizer, reference }),
    ).rejects.toMatchObject({ code: "bad-state", message: expect.stringContaining("reference") });
    reference.destroy();
    optimizer.destroy();
    model.weights.destroy();
  });
});
