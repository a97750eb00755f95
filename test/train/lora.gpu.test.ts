import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/checkpoint/safetensors.ts";
import { fileSource } from "#io";
import { Model } from "../../src/model/model.ts";
import { Processor } from "../../src/model/processor.ts";
import { writeModel } from "../../src/model/save.ts";
import { restoreTrainingState, writeTrainingState } from "../../src/run/checkpoint.ts";
import { STATE_VERSION, type TrainerState } from "../../src/run/state.ts";
import { scoringPass } from "../../src/policy/pass.ts";
import { reportModel } from "../../src/model/run-model.ts";
import { loadTrained } from "../../src/run/parts.ts";
import { mergeFeeds } from "../../src/network/feed.ts";
import { completionBranch } from "../../src/network/decoder/packed.ts";
import { useDevice } from "../helpers/device.ts";
import { allWeights, changedWeights, TrainerBench } from "../helpers/grpo-trainer.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

const lora = { r: 4, lora_alpha: 8 };

const baseOf = ({ model }: TinyWorkplace) => ({ folder: model, name: model, revision: null });

describe("adapters in a GRPO step", () => {
  const device = useDevice();
  const place = new TinyWorkplace();
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  const open = (train: object = {}, model: object = {}) =>
    TrainerBench.open(device(), place.config({ train: { lora, ...train }, model }));

  /** Log-probabilities of a fixed completion, adapters on or off. */
  async function logProbs({ setup, rows }: TrainerBench, of: Model, adapter: number) {
    const sample = (await setup.loader.loadAll([rows[0]!]))[0]!;
    const pass = scoringPass(of, "score");
    const feed = mergeFeeds(
      of.mediaFeed([sample]),
      of.treeFeed([{ prompt: sample, branches: [completionBranch([7, 300, 21, 5])] }]),
      { inputs: {}, sizes: {}, scalars: { inverseTemperature: 1, adapter } },
    );
    const out = await (await pass.run(feed)).read("logProbs", 4);
    pass.destroy();
    return [0, 3, 6, 9].map((i) => out[i]!);
  }

  it("start as PEFT's: A uniform within 1 / sqrt(inputs), B zero, anew for every seed", async () => {
    const bench = await open();
    const { adapters, trained } = bench.setup.model.weights;
    expect(adapters.size).toBe(4 * 7);
    expect(trained).toHaveLength(2 * adapters.size);
    const first: number[] = [];
    for (const [layer, { a, b, scale }] of adapters) {
      expect(layer).toMatch(/^model\.layers\.\d\.(self_attn|mlp)\.[a-z]+_proj$/);
      expect(scale).toBe(2);
      expect((await b.value.download()).every((value) => value === 0)).toBe(true);
      const values = await a.value.download();
      const bound = 1 / Math.sqrt(a.value.width);
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound);
      // The mean square of a uniform deviate is a third of its bound's square.
      const square = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      expect(square / bound ** 2).toBeGreaterThan(0.25);
      expect(square / bound ** 2).toBeLessThan(0.42);
      first.push(values[0]! / bound);
    }
    expect(new Set(first).size).toBe(adapters.size);
    const other = await open({ seed: 43 });
    const [otherA] = [...other.setup.model.weights.adapters.values()];
    expect((await otherA!.a.value.download())[0]).not.toBe(first[0]);
    other.close();
    bench.close();
  });

  it("train alone: not a bit of the base moves, and its log-probabilities stay the reference", async () => {
    const bench = await open({ beta: 0.1 });
    const { model, reference } = bench.setup;
    expect(reference!.weights).toBe(model.weights);
    const base = await Model.load(device(), place.model);
    const want = await logProbs(bench, base, 1);
    expect(await logProbs(bench, model, 1)).toEqual(want);
    const before = await allWeights(model);
    expect((await bench.step()).metrics["kl"]).toBeLessThan(1e-12);
    expect((await bench.step(1e-2, { step: 1, draw: 1 })).metrics["kl"]).toBeGreaterThan(1e-6);
    const changed = changedWeights(before, await allWeights(model));
    expect(changed).toEqual(model.weights.adapterParameters.map(({ name }) => name));
    expect(await logProbs(bench, model, 0)).toEqual(want);
    expect(await logProbs(bench, model, 1)).not.toEqual(want);
    base.weights.destroy();
    bench.close();
  });

  it("a checkpoint holds adapters and moments, and gives them back bit for bit", async () => {
    const bench = await open();
    const { model, optimizer } = bench.setup;
    await bench.step();
    const folder = place.path("state");
    await mkdir(folder);
    const state: TrainerState = {
      version: STATE_VERSION,
      ...{ task: "grpo" as const, step: 1, stage: 0 },
      ...{ draw: 1, samplesConsumed: 2, entropyControl: null },
      ...{ numTokens: 0, seconds: 0, data: "", before: null, logs: { bytes: {}, pending: {} } },
    };
    await writeTrainingState(folder, { model, base: baseOf(place), optimizer }, state);
    const moments = await openSafetensors(
      await fileSource(join(folder, "optimizer.safetensors")),
      "optimizer",
    );
    expect(moments.tensors.size).toBe(2 * model.weights.trained.length);
    await moments.close();
    const saved = await allWeights(model);
    const again = await open({ seed: 43 });
    const { model: other, optimizer: fresh } = again.setup;
    expect(changedWeights(saved, await allWeights(other))).not.toEqual([]);
    await restoreTrainingState(folder, { model: other, optimizer: fresh });
    expect(changedWeights(saved, await allWeights(other))).toEqual([]);
    expect(fresh.step).toBe(1);
    again.close();
    const fewer = await open({ lora: { ...lora, target_modules: ["q_proj"] } });
    const { model: less, optimizer: none } = fewer.setup;
    await expect(
      restoreTrainingState(folder, { model: less, optimizer: none }),
    ).rejects.toMatchObject({ code: "other-adapters" });
    fewer.close();
    bench.close();
  });

  it("the saved model is the adapter with the base's tokenizer, and is loaded as a whole", async () => {
    const bench = await open({ tune_mm_audio: true });
    const { model } = bench.setup;
    await bench.step(1e-2);
    const want = await logProbs(bench, model, 1);
    const folder = place.path("saved");
    await writeModel(model, baseOf(place), folder);
    expect((await Processor.load(folder)).tokenizer.vocabSize).toBeGreaterThan(300);
    const loaded = await Model.load(device(), folder);
    expect(loaded.weights.adapters.size).toBe(model.weights.adapters.size);
    expect(loaded.weights.adapters.has("audio_tower.layers.0.self_attn.q_proj")).toBe(true);
    expect(await logProbs(bench, loaded, 1)).toEqual(want);
    loaded.weights.destroy();
    bench.close();
  });

  it("gradient checkpointing recomputes the same bits", async () => {
    const gradients = [];
    for (const gradient_checkpointing of [false, true]) {
      const bench = await open({ gradient_checkpointing, tune_mm_vision: true });
      await bench.step(0);
      gradients.push(await bench.gradients());
      bench.close();
    }
    const [plain, recomputed] = gradients;
    expect(changedWeights(plain!, recomputed!)).toEqual([]);
    const norms = [...plain!.values()].map((values) => Math.hypot(...values));
    // B is zero, so A has no gradient yet: one factor of two.
    expect(norms.filter((norm) => norm > 0)).toHaveLength(norms.length / 2);
  });

  it("a target that names no layer, or only frozen ones, is an error with the layers' names", async () => {
    const load = (train: object) => {
      const { events } = recorded();
      return loadTrained(device(), place.model, place.config({ train }), events);
    };
    await expect(load({ lora: { target_modules: ["qproj"] } })).rejects.toMatchObject({
      code: "no-such-layer",
      message: expect.stringMatching(/"qproj".*q_proj, k_proj/) as string,
    });
    await expect(load({ lora: { target_modules: ["fc1"] } })).rejects.toMatchObject({
      code: "no-adapter",
    });
  });

  it("frozen weights in f16s: the rollout agrees with training, and adapters train", async () => {
    const { events, list } = recorded("model");
    const config = place.config({ train: { lora }, model: { storage: "f16s" } });
    const model = await loadTrained(device(), config.model.path, config, events);
    reportModel(model, config.model.storage, events);
    const frozen = model.weights.distinct.filter(({ value }) => value.type === "f16s");
    expect(frozen.every(({ shape }) => shape.length > 1)).toBe(true);
    expect(frozen.length).toBeGreaterThan(50);
    // Weights drawn as f32: all but a few lose bits.
    const { inexact, storage, parameters } = list[0]!.data as Record<string, number>;
    expect(storage).toBe("f16s");
    expect(inexact).toBe(model.weights.inexact);
    expect(inexact! / parameters!).toBeGreaterThan(0.9);
    const bench = await TrainerBench.open(device(), config, { model });
    const before = await allWeights(model);
    const { metrics } = await bench.step();
    expect(metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-5);
    expect(metrics["grad_norm"]).toBeGreaterThan(0);
    const changed = changedWeights(before, await allWeights(model));
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.every((name) => name.includes(".lora_"))).toBe(true);
    bench.close();
  });

  it("a trained decoder on frozen towers in f16s is saved in f32 and gives the same bits back", async () => {
    const config = place.config({ model: { storage: "f16s" } });
    const { events } = recorded();
    const model = await loadTrained(device(), config.model.path, config, events);
    const types = new Map(model.weights.distinct.map(({ name, value }) => [name, value.type]));
    expect(types.get("visual.merger.mlp.0.weight")).toBe("f16s");
    expect(types.get("model.embed_tokens.weight")).toBe("f32");
    const bench = await TrainerBench.open(device(), config, { model });
    await bench.step();
    const want = await logProbs(bench, model, 1);
    const folder = place.path("f16s");
    await writeModel(model, baseOf(place), folder);
    const plain = await Model.load(device(), folder);
    expect(changedWeights(await allWeights(model), await allWeights(plain))).toEqual([]);
    const got = await logProbs(bench, plain, 1);
    got.forEach((value, i) => expect(Math.abs(value - want[i]!)).toBeLessThan(1e-6));
    plain.weights.destroy();
    bench.close();
  });
});
