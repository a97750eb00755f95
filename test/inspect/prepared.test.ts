import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FamilyModel } from "../../src/families/family.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { readPrepared } from "../../src/inspect/prepared.ts";
import { shiftedLabels } from "../../src/inspect/prompt-batch.ts";
import { GoldenCase } from "../helpers/golden.ts";
import { goldenInputs, type Tensors, tensorStore } from "../helpers/prepared-inputs.ts";

const configOf = (model: string): FamilyModel =>
  parseModelConfig(
    readFileSync(new URL(`../golden/${model}/config.json`, import.meta.url), "utf8"),
  );

async function inputsOf(model: string, name: string): Promise<[Tensors, FamilyModel]> {
  const config = configOf(model);
  return [await goldenInputs(await GoldenCase.open(`${model}-${name}`), config), config];
}

const read = async (tensors: Tensors, config: FamilyModel) =>
  readPrepared(await tensorStore(tensors), config);

describe("prepared prompts are laid out as transformers lays them out", () => {
  const CASES = {
    "omni/tiny-a": [
      "text",
      "two-images",
      "video",
      "audio-edges",
      "audio-and-video",
      "av",
      "av-slow",
    ],
    "vl/tiny-a": ["image", "two-images", "video-fps05", "video-fraction", "image-and-video"],
    "qwen2-audio/tiny-a": ["text", "two-clips", "audio-edges"],
  };
  for (const [model, names] of Object.entries(CASES)) {
    it.each(names)(`${model} %s`, async (name) => {
      const [inputs, config] = await inputsOf(model, name);
      const golden = await GoldenCase.open(`${model}-${name}`);
      const { samples, starts, length } = await read(inputs, config);
      const [sample] = samples;
      expect([starts[0], length]).toEqual([0, sample!.inputIds.length]);
      expect([...sample!.inputIds]).toEqual([...(await golden.integers("input_ids"))]);
      const positions = await golden.integers("position_ids");
      const want = Array.from({ length: 3 * length }, (_, i) => positions[i % positions.length]);
      expect([...sample!.positions]).toEqual(want);
    });
  }

  it.each(["omni/tiny-a", "vl/tiny-a", "qwen2-audio/tiny-a"])(
    "%s: a padded batch",
    async (model) => {
      const [inputs, config] = await inputsOf(model, "batch");
      const golden = await GoldenCase.open(`${model}-batch`);
      const { samples, starts, length } = await read(inputs, config);
      expect(samples).toHaveLength(4);
      for (const [i, sample] of samples.entries()) {
        expect([...sample.inputIds]).toEqual([...(await golden.integers(`input_ids.${i}`))]);
        expect(starts[i]).toBe(length - sample.inputIds.length);
        const [first] = await golden.integers(`position_ids.${i}`);
        expect(sample.positions[0]).toBe(first);
      }
    },
  );
});

describe("prepared prompts that do not pair up are refused", () => {
  const rowOf = ({ values }: Tensors[string]) => [...values];
  const edit = (tensors: Tensors, change: (ids: number[]) => void): Tensors => {
    const ids = rowOf(tensors["input_ids"]!);
    change(ids);
    const shape = [1, ids.length];
    const mask = new Int32Array(ids.length).fill(1);
    return {
      ...without(tensors, "labels"),
      input_ids: { shape, values: Int32Array.from(ids) },
      attention_mask: { shape, values: mask },
    };
  };
  const without = (tensors: Tensors, ...names: string[]): Tensors =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => !names.includes(name)));
  const IMAGE = 149;
  const AUDIO = 143;

  it("a placeholder that was expanded twice (F17)", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "image");
    const twice = edit(inputs, (ids) => ids.splice(ids.indexOf(IMAGE), 0, IMAGE));
    await expect(read(twice, config)).rejects.toThrow(
      "image 1 has 31 placeholders but 30 feature rows. Were the placeholders expanded twice?",
    );
  });

  it("a prompt that was cut within a medium (F18)", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "image");
    const cut = edit(inputs, (ids) => ids.splice(ids.lastIndexOf(IMAGE)));
    await expect(read(cut, config)).rejects.toThrow("image 1 has 29 placeholders but 30 feature");
  });

  it("a completion that holds a placeholder (F15)", async () => {
    const [inputs, config] = await inputsOf("qwen2-audio/tiny-a", "two-clips");
    const said = edit(inputs, (ids) => ids.splice(-3, 1, AUDIO));
    await expect(read(said, config)).rejects.toThrow(
      "there are 1 placeholders of audio 3, but features of 2 of that kind only",
    );
  });

  it("features of a medium that no prompt names (F6)", async () => {
    const [inputs, config] = await inputsOf("qwen2-audio/tiny-a", "two-clips");
    const bare = edit(inputs, (ids) => {
      const kept = ids.filter((id) => id !== AUDIO);
      ids.splice(0, ids.length, ...kept);
    });
    await expect(read(bare, config)).rejects.toThrow("holds 2 of audio, but the prompts have");
  });

  it("lengths that are those of the clips in another order (F6)", async () => {
    const [inputs, config] = await inputsOf("qwen2-audio/tiny-a", "two-clips");
    const mask = inputs["feature_attention_mask"]!;
    const swapped = Int32Array.from([...mask.values.slice(120), ...mask.values.slice(0, 120)]);
    const tensors = { ...inputs, feature_attention_mask: { ...mask, values: swapped } };
    await expect(read(tensors, config)).rejects.toThrow(/audio 1 has 16 placeholders but 6/);
  });

  it("padding on another side than the mask says (F16)", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "batch");
    const { shape, values } = inputs["attention_mask"]!;
    const length = shape[1]!;
    const right = values.map((_, i) => {
      const row = Math.floor(i / length);
      return values[(row + 1) * length - 1 - (i % length)]!;
    });
    const tensors = { ...inputs, attention_mask: { shape, values: right } };
    await expect(read(tensors, config)).rejects.toThrow();
  });

  it("a mask with a hole", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "image");
    const { shape, values } = inputs["attention_mask"]!;
    const holed = values.map((value, i) => (i === 5 ? 0 : value));
    const tensors = { ...inputs, attention_mask: { shape, values: holed } };
    await expect(read(tensors, config)).rejects.toThrow("no unbroken run of ones in row 0");
  });

  it("audio and video in the order of another frame rate", async () => {
    const [inputs, config] = await inputsOf("omni/tiny-a", "av");
    const seconds = { shape: [1], values: Float32Array.of(4) };
    await expect(read({ ...inputs, video_second_per_grid: seconds }, config)).rejects.toThrow(
      "do not stand as this family lays out video 1",
    );
  });

  it("patches, grids and masks that do not fit, and media that a family does not take", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "image");
    const grid = { shape: [1, 3], values: Int32Array.of(1, 10, 10) };
    await expect(read({ ...inputs, image_grid_thw: grid }, config)).rejects.toThrow(
      "pixel_values has 120 patches of 1176 where image_grid_thw asks for 100",
    );
    const odd = { shape: [1, 3], values: Int32Array.of(1, 5, 24) };
    await expect(read({ ...inputs, image_grid_thw: odd }, config)).rejects.toThrow(
      "multiples of 2",
    );
    await expect(read(without(inputs, "image_grid_thw"), config)).rejects.toThrow(
      "image_grid_thw is missing, but pixel_values is there",
    );
    const audio = configOf("qwen2-audio/tiny-a");
    await expect(read(inputs, audio)).rejects.toThrow(
      "holds pixel_values, but Qwen2-Audio takes no pictures",
    );
  });

  it("labels at padding, and none at all", async () => {
    const [inputs, config] = await inputsOf("vl/tiny-a", "batch");
    const none = await read(without(inputs, "labels"), config);
    expect(() => shiftedLabels(none)).toThrow("there is no label, and so no loss");
    const labels = { ...inputs["labels"]!, values: inputs["labels"]!.values.slice() };
    labels.values[inputs["attention_mask"]!.values.indexOf(0)] = 5;
    const batch = await read({ ...inputs, labels }, config);
    expect(() => shiftedLabels(batch)).toThrow("stands at padding");
  });
});
