import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import { bytesSource } from "../../src/io/byte-source.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import { parseConfig } from "../../src/families/qwen2-5-omni/config.ts";
import { ConfigReader } from "../../src/io/config-reader.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { matchTensors } from "../../src/checkpoint/match-tensors.ts";

const golden = new URL("../golden/omni/", import.meta.url);
const tinyText = await readFile(new URL("tiny-a/config.json", golden), "utf8");
const tinyJson = () => JSON.parse(tinyText);
const rope = { mrope_section: [16, 24, 24], rope_type: "default", type: "default" };

/** Released sizes as sparse files: what is left out are the defaults of the classes. */
function released(size: "3B" | "7B"): string {
  const hidden = size === "3B" ? 2048 : 3584;
  const text =
    size === "3B"
      ? {
          vocab_size: 151936,
          hidden_size: 2048,
          num_hidden_layers: 36,
          num_attention_heads: 16,
          num_key_value_heads: 2,
          intermediate_size: 11008,
        }
      : {};
  return JSON.stringify({
    model_type: "qwen2_5_omni",
    thinker_config: {
      model_type: "qwen2_5_omni_thinker",
      text_config: { ...text, rope_scaling: rope },
      vision_config: { hidden_size: 1280, out_hidden_size: hidden },
      audio_config: { output_dim: hidden },
    },
  });
}

/** Everything that a configuration says, the shapes of the towers too. */
const readConfig = (text: string) => parseConfig(ConfigReader.parse(text, "config.json"));

describe("parseModelConfig", () => {
  it("reads a bare thinker as transformers wrote it", () => {
    const config = readConfig(tinyText);
    expect(config.text).toEqual({
      vocabSize: 160,
      hiddenSize: 64,
      intermediateSize: 96,
      layers: 3,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeTheta: 1e6,
      rotaryAxes: [0, 0, 1, 1, 1, 2, 2, 2],
      attentionBias: true,
      qkNorm: false,
      maxPositions: 4096,
    });
    expect(config.vision).toMatchObject({ depth: 4, headDim: 24, patchDim: 1176, windowSize: 56 });
    expect(config.vision.fullAttentionBlocks).toEqual([1, 3]);
    expect(config.audio).toMatchObject({ width: 48, heads: 3, chunkFrames: 50, outputDim: 64 });
    expect(config.tokens).toEqual({
      audio: 143,
      image: 149,
      video: 150,
      audioStart: 144,
      audioEnd: 145,
      visionStart: 146,
      visionEnd: 147,
      pad: 140,
      eos: 142,
    });
    expect([config.positionIdPerSeconds, config.secondsPerChunk]).toEqual([25, 2]);
  });

  it("reads the same from a nested file and from other spellings", () => {
    const json = tinyJson();
    const { rope_scaling, rope_theta, ...text } = json.text_config;
    json.text_config = { ...text, rope_parameters: { ...rope_scaling, rope_theta } };
    json.vision_config.in_chans = json.vision_config.in_channels;
    delete json.vision_config.in_channels;
    json.audio_token_id = json.audio_token_index;
    delete json.audio_token_index;
    const nested = JSON.stringify({
      model_type: "qwen2_5_omni",
      thinker_config: json,
      talker_config: {},
    });
    expect(readConfig(nested)).toEqual(readConfig(tinyText));
  });

  it("fills what a file leaves out with the defaults of the classes", () => {
    const config = readConfig(released("7B"));
    expect(config.text).toMatchObject({ vocabSize: 152064, layers: 28, kvHeads: 4, headDim: 128 });
    expect(config.vision).toMatchObject({ depth: 32, intermediateSize: 3420, windowSize: 112 });
    expect(config.audio).toMatchObject({ layers: 32, chunkFrames: 200, ffnSize: 5120 });
    expect(config.tokens).toMatchObject({ audio: 151646, image: 151655, video: 151656 });
  });

  const broken: [string, (json: any) => void, RegExp][] = [
    ["a wrong type", (j) => (j.text_config.hidden_size = "64"), /text_config.hidden_size is "64"/],
    ["a zero", (j) => (j.audio_config.d_model = 0), /audio_config.d_model is 0/],
    ["no section", (j) => delete j.text_config.rope_scaling, /mrope_section is missing/],
    ["sections", (j) => (j.text_config.rope_scaling.mrope_section = [1, 2, 3]), /that sum to 8/],
    ["yarn", (j) => (j.text_config.rope_scaling.rope_type = "yarn"), /rope_type is "yarn"/],
    ["an activation", (j) => (j.text_config.hidden_act = "gelu"), /hidden_act is "gelu"/],
    ["another model", (j) => (j.model_type = "qwen3_vl"), /describes qwen3_vl/],
    ["a table", (j) => (j.vision_config = []), /vision_config is \[\]; a table/],
    [
      "widths",
      (j) => (j.vision_config.out_hidden_size = 8),
      /out_hidden_size is 8; the decoder's hidden_size, 64/,
    ],
  ];
  it.each(broken)("names the key: %s", (_, damage, message) => {
    const json = tinyJson();
    damage(json);
    const parse = () => parseModelConfig(JSON.stringify(json), "x/config.json");
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^x\/config.json: /);
  });
});

describe("weight names", () => {
  const elements = ({ tensors }: FamilyModel, prefix = "") => {
    let sum = 0;
    for (const [name, { shape }] of tensors) {
      if (name.startsWith(prefix)) sum += shape.reduce((product, size) => product * size, 1);
    }
    return sum;
  };

  it("count what the released checkpoints hold", () => {
    const [small, large] = [released("3B"), released("7B")].map((text) => parseModelConfig(text));
    expect(small!.tensors.size).toBe(1442);
    expect(elements(small!)).toBe(4_703_464_448);
    const names = [...large!.tensors.keys()];
    const count = (prefix: string) => names.filter((name) => name.startsWith(prefix)).length;
    expect(["visual.", "audio_tower.", "model.", "lm_head."].map(count)).toEqual([
      518, 489, 338, 1,
    ]);
    expect(elements(large!)).toBe(8_931_813_888);
    expect(elements(large!, "visual.blocks.")).toBe(630_470_400);
    expect(elements(large!, "audio_tower.layers.")).toBe(629_637_120);
  });

  it.each(["tiny-a", "tiny-b"])("and shapes are those of transformers: %s", async (name) => {
    const bytes = await readFile(new URL(`${name}/model.safetensors`, golden));
    const config = parseModelConfig(await readFile(new URL(`${name}/config.json`, golden), "utf8"));
    const store = await openSafetensors(bytesSource(bytes), name);
    const stored = new Map([...store.tensors].map(([key, info]) => [key, [...info.shape]]));
    const shapesOf = [...config.tensors].map(([key, { shape }]) => [key, shape] as const);
    expect(new Map(shapesOf)).toEqual(stored);
    expect(matchTensors(config, store.tensors, name).size).toBe(stored.size);
  });

  const config = parseModelConfig(tinyText);
  const shapes = (prefix = "") =>
    new Map([...config.tensors].map(([name, { shape }]) => [prefix + name, { shape }]));

  it("drop the prefix of the thinker and pass over the speech half", () => {
    const { names } = config.family;
    expect(names.canonical("thinker.model.norm.weight")).toBe("model.norm.weight");
    expect(names.stored("model.norm.weight")).toBe("thinker.model.norm.weight");
    expect(names.canonical("talker.model.norm.weight")).toBeUndefined();
    expect(names.canonical("token2wav.x")).toBeUndefined();
    const stored = shapes("thinker.").set("talker.x", { shape: [1] });
    const matched = matchTensors(config, stored, "x");
    expect(matched.get("lm_head.weight")).toBe("thinker.lm_head.weight");
    expect(matched.size).toBe(config.tensors.size);
  });

  it("let the embedding stand in for a missing head", () => {
    const stored = shapes();
    stored.delete("lm_head.weight");
    stored.delete("audio_tower.audio_bos_eos_token.weight");
    const matched = matchTensors(config, stored, "x");
    expect(matched.get("lm_head.weight")).toBe("model.embed_tokens.weight");
    expect(matched.has("audio_tower.audio_bos_eos_token.weight")).toBe(false);
  });

  it("name what is missing, misshapen or unknown", () => {
    const missing = shapes();
    missing.delete("visual.blocks.1.attn.q.bias");
    expect(() => matchTensors(config, missing, "x")).toThrow(/blocks.1.attn.q.bias" is missing/);
    const wrong = shapes().set("model.norm.weight", { shape: [65] });
    expect(() => matchTensors(config, wrong, "x")).toThrow(
      /norm.weight" is \[65\] instead of \[64\]/,
    );
    const unknown = shapes().set("visual.merger.mlp.3.bias", { shape: [1] });
    expect(() => matchTensors(config, unknown, "x")).toThrow(
      /"visual.merger.mlp.3.bias" has no pl/,
    );
    const twice = shapes().set("thinker.model.norm.weight", { shape: [64] });
    expect(() => matchTensors(config, twice, "x")).toThrow(
      /"model.norm.weight" are the same tensor/,
    );
  });

  it("name all problems in one error, and count those beyond a dozen", () => {
    const damaged = shapes().set("model.norm.weight", { shape: [65] });
    for (const name of [...damaged.keys()].slice(0, 20)) damaged.delete(name);
    expect(() => matchTensors(config, damaged, "x")).toThrow(/is missing;.*; and 9 more\./);
  });
});
