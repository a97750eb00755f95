import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { initialWeights } from "../../../src/checkpoint/init.ts";
import { modelTensors, exportModel } from "../../../src/checkpoint/export.ts";
import { openSafetensors } from "../../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-writer.ts";
import { ModelWeights } from "../../../src/checkpoint/weights.ts";
import { Random } from "../../../src/core/random.ts";
import { parseModelConfig, registerFamily } from "../../../src/families/registry.ts";
import { ForwardPass } from "../../../src/inspect/forward.ts";
import { bytesSource } from "../../../src/io/byte-source.ts";
import { Model } from "../../../src/model/model.ts";
import { Processor } from "../../../src/model/processor.ts";
import { LOSS_DEFAULTS } from "../../../src/policy/loss/losses.ts";
import { policyTrees } from "../../../src/policy/trees.ts";
import { PolicyUpdater } from "../../../src/policy/update.ts";
import type { LoadedMedium } from "../../../src/prompt/media.ts";
import type { Sample } from "../../../src/prompt/sample.ts";
import { Generator } from "../../../src/rollout/generator.ts";
import { tokenFacts } from "../../../src/rollout/token-facts.ts";
import { DEFAULT_SAMPLING } from "../../../src/rollout/types.ts";
import { AdamW } from "../../../src/train/optimizer.ts";
import { useDevice } from "../../helpers/device.ts";
import { relativeL2 } from "../../helpers/golden.ts";
import { clip, picture, sound } from "../../helpers/real-processor.ts";
import {
  capacityOf,
  packedGroups,
  randomGroup,
  singleSequence,
  TrainingPass,
} from "../../helpers/tree-training.ts";
import { glimpse } from "./family.ts";

registerFamily(glimpse);

const assets = fileURLToPath(new URL("../../../assets/tiny/", import.meta.url));
const CONFIG = {
  model_type: "glimpse",
  ...{ audio_token_id: 362, image_token_id: 368, video_token_id: 369, eos_token_id: 361 },
  text_config: {
    head_dim: 16,
    rope_scaling: { rope_type: "default", mrope_section: [4, 2, 2] },
  },
  vision_config: { depth: 2, hidden_size: 48, num_heads: 2 },
};
const EVERYTHING = { trains: () => true };

/** Frames 0, 2, 5 and 7 of a clip of 4 frames a second. */
const FILM = clip({ totalFrames: 8, fps: 4, width: 64, height: 96 }, [0, 2, 5, 7]);

/** A picture, a video of four frames with its sound, and a sound alone. */
const MEDIA: LoadedMedium[] = [
  { kind: "image", file: "a.png", frame: picture(70, 90, 1) },
  {
    kind: "video",
    video: {
      ...FILM,
      frames: FILM.frames.map((frame) => ({ ...frame, timestamp: frame.timestamp / 4 })),
    },
    audio: sound(4000, 3, "clip0.mp4"),
  },
  { kind: "audio", audio: sound(5000, 2) },
];

describe("a made-up family in a folder of its own", () => {
  const device = useDevice();
  let folder: string;
  let processor: Processor;
  let model: Model;
  let samples: Sample[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "aubade-glimpse-"));
    const base = join(folder, "base");
    await mkdir(base);
    for (const name of ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"]) {
      await cp(join(assets, name), join(base, name));
    }
    const text = JSON.stringify(CONFIG);
    await writeFile(join(base, "config.json"), text);
    const tensors = [...initialWeights(parseModelConfig(text), 5)].map(([name, value]) => ({
      ...{ ...value, name: glimpse.names.stored(name), dtype: "F32" as const },
    }));
    await writeSafetensors(join(base, "model.safetensors"), tensors, { format: "pt" });
    processor = await Processor.load(base);
    model = await Model.load(device(), base, EVERYTHING);
    const made = (id: string, media: LoadedMedium[]) =>
      processor.process({
        ...{ id, media },
        conversation: [
          { role: "user", content: [...media.map(({ kind }) => ({ type: kind })), WORDS] },
        ],
      });
    samples = [made("all", MEDIA), made("video", MEDIA.slice(1, 2))];
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const WORDS = { type: "text" as const, text: "What is it?" };

  it("sees cells of 32 pixels, hears 20 rows a second and writes the times of slices", () => {
    const [all] = samples as [Sample, Sample];
    // 70 x 90 is 64 x 96 in cells: 2 x 3 of them, each of 2 x 2 patches.
    expect(all.grids).toEqual([
      [1, 6, 4],
      [2, 6, 4],
    ]);
    expect(all.visionRows).toHaveLength(6 + 2 * 6);
    // 4,000 and 5,000 samples: 25 and 32 mel frames.
    expect(all.audioRows).toHaveLength(5 + 7);
    const words = processor.tokenizer.decode([...all.inputIds]);
    // Means of 0 and 0.5, of 1.25 and 1.75.
    expect(words).toMatch(
      /<0\.[23] seconds><\|vision_bos\|>(<\|VIDEO\|>){6}<\|vision_eos\|><1\.5 s/,
    );
  });

  it("a completion's log-probabilities at rollout are those of the training pass", async () => {
    const generator = new Generator(model, tokenFacts(processor));
    const setup = { model, tokensPerPass: 1 << 16, temperature: 0.9 };
    const updater = new PolicyUpdater({
      ...{ ...setup, maxCompletionLength: 12, gradientCheckpointing: true },
    });
    const requests = samples.map((sample) => ({ sample, generations: 3, draw: 0 }));
    const options = { ...DEFAULT_SAMPLING, temperature: 0.9, maxNewTokens: 12, seed: 3 };
    const groups = await generator.generate(requests, options);
    const random = new Random(1, "data");
    const trees = policyTrees(
      samples.map((sample, i) => ({ sample, completions: groups[i]! })),
      { advantages: groups.flat().map(() => random.normal()) },
    );
    const { parity } = await updater.accumulate(trees, LOSS_DEFAULTS);
    const difference = "sampling/sampling_logp_difference/max";
    expect(parity.metrics()[difference]).toBeLessThan(4e-5);

    // The optimizer moves every part; greedy tokens and features in storages follow the new weights.
    const optimizer = await AdamW.create(device(), model.weights.trained, {
      ...{ adam_beta1: 0.9, adam_beta2: 0.95, adam_epsilon: 1e-8 },
      ...{ weight_decay: 0, max_grad_norm: 1 },
    });
    const deep = model.weights.parameters.get("eye.deep.1.proj.weight")!;
    const before = await ModelWeights.read(deep);
    await optimizer.update(1e-3);
    expect(await ModelWeights.read(deep)).not.toEqual(before);
    const [again] = await generator.generate(requests.slice(0, 1), { ...options, temperature: 0 });
    await expectGreedy(again![0]!.ids);
    for (const used of [optimizer, updater, generator]) used.destroy();
  });

  /** Every token is the most likely one after all before it, in one plain pass. */
  async function expectGreedy(ids: readonly number[]): Promise<void> {
    const [prompt] = samples as [Sample, Sample];
    const length = prompt.inputIds.length;
    const total = length + ids.length - 1;
    const positions = new Int32Array(3 * total);
    for (let axis = 0; axis < 3; axis++) {
      positions.set(prompt.positions.subarray(axis * length, (axis + 1) * length), axis * total);
      for (let i = 0; i + length < total; i++) {
        positions[axis * total + length + i] = prompt.nextPos + i;
      }
    }
    const inputIds = Uint32Array.from([...prompt.inputIds, ...ids.slice(0, -1)]);
    const pass = await ForwardPass.run(model, [
      { ...prompt, inputIds, positions, nextPos: prompt.nextPos + ids.length - 1, seal: undefined },
    ]);
    const { vocabSize } = model.config.text;
    const logits = await pass.logits(length - 1, ids.length);
    const banned = new Set(processor.placeholderIds);
    for (const [i, id] of ids.entries()) {
      const row = logits
        .subarray(i * vocabSize, (i + 1) * vocabSize)
        .map((logit, at) =>
          banned.has(at) || at >= processor.tokenizer.vocabSize ? -Infinity : logit,
        );
      expect(row[id]! - Math.max(...row), `token ${i}`).toBeGreaterThan(-1e-4);
    }
    pass.destroy();
  }

  it("a shared prompt trains like one completion at a time, and every weight has a gradient", async () => {
    const groups = samples.map(({ patches, grids, mel, ...prompt }, i) => {
      let at = 0;
      const pictures = grids.map((grid) => {
        const values = grid[0] * grid[1] * grid[2] * model.config.vision!.patchDim;
        return { grid, patches: patches.subarray(at, (at += values)) };
      });
      const clips = mel.map(({ data, frames }) => ({ mel: data, frames }));
      return randomGroup(
        { prompt, pictures, clips },
        [
          [5, 1, 9],
          [2, 7],
        ][i]!,
        i + 1,
      );
    });
    const { config, weights } = model;
    const packed = packedGroups(config, groups);
    const singles = groups.flatMap((group) =>
      group.completions.map((_, i) => singleSequence(config, group, i)),
    );
    const capacity = capacityOf([packed, ...singles]);
    const pass = await TrainingPass.compile(device(), config, weights, capacity);
    const loss = await pass.run([packed]);
    const shared = await pass.gradients();
    expect(Math.abs(loss - (await pass.run(singles))) / Math.abs(loss)).toBeLessThan(1e-5);
    for (const [name, want] of await pass.gradients()) {
      expect(relativeL2(shared.get(name)!, want), name).toBeLessThan(1e-5);
      // The bias of keys moves all scores of a query alike.
      const still = name.endsWith(".k.bias");
      if (!still)
        expect(
          want.some((value) => Math.abs(value) > 1e-9),
          name,
        ).toBe(true);
    }
    pass.plan.destroy();
  });

  it("what is exported loads again bit for bit, under the family's own names", async () => {
    const out = join(folder, "out");
    const like = join(folder, "base");
    await exportModel(out, model.config, modelTensors(model), { dtype: "f32", like });
    const bytes = new Uint8Array(await readFile(join(out, "model.safetensors")));
    const store = await openSafetensors(bytesSource(bytes), "out");
    expect(store.tensors.has("glimpse.model.layers.0.self_attn.q_norm.weight")).toBe(true);
    const loaded = await Model.load(device(), out);
    for (const [name, parameter] of model.weights.parameters) {
      const read = await ModelWeights.read(loaded.weights.parameters.get(name)!);
      expect(read, name).toEqual(await ModelWeights.read(parameter));
    }
    expect((await Processor.load(out)).config.name).toBe("Glimpse");
    loaded.weights.destroy();
  });

  it("a second family with its model type is refused", () => {
    expect(() => registerFamily({ ...glimpse, name: "Glance" })).toThrow(
      /Glance reads glimpse, of which Glimpse reads some already/,
    );
  });
});
