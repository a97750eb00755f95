/**
 * A family that nobody trained, to show that one folder and one line are a family: cells of 32 pixels,
 * RMSNorms of queries and keys, no biases, rotary sections that take turns, features of every vision
 * block added behind a decoder layer, times of frames as text, and a sound of 20 rows a second.
 */
import {
  layerNormTensors,
  linearTensors,
  type TensorSpecs,
} from "../../../src/checkpoint/tensor-specs.ts";
import type { Family, Layout } from "../../../src/families/family.ts";
import { parsePictures, parseSound } from "../../../src/families/parts/preprocessing.ts";
import { parseText, textTensors } from "../../../src/families/parts/text.ts";
import { ConfigReader } from "../../../src/io/config-reader.ts";
import type { TextConfig } from "../../../src/network/config.ts";
import { layoutPrompt, visionTokens } from "../../../src/prompt/layout.ts";
import { OMNI_CHAT_TEMPLATE } from "../../../src/text/built-in-templates.ts";
import { FRAMES_PER_ROW, glimpseAudio, glimpseVision, type GlimpseVision } from "./towers.ts";

const MERGE = 2;
const MEL_BINS = 128;

function parseVision(section: ConfigReader, outWidth: number): GlimpseVision {
  const patchSize = section.size("patch_size", 16);
  const shape = { inChannels: 3, patchSize, temporalPatchSize: 2, mergeSize: MERGE };
  return {
    ...{ ...shape, outWidth, patchDim: 6 * patchSize ** 2 },
    depth: section.size("depth"),
    width: section.size("hidden_size"),
    heads: section.size("num_heads"),
  };
}

function tensors(text: TextConfig, vision: GlimpseVision): TensorSpecs {
  const { width, outWidth, depth } = vision;
  const eye = { part: "vision" } as const;
  const joint = { ...eye, joins: true } as const;
  const merger = (name: string) => [
    ...layerNormTensors(`${name}.norm`, width, joint),
    ...linearTensors(`${name}.proj`, outWidth, MERGE ** 2 * width, joint),
  ];
  const block = (name: string) => [
    ...["norm1", "norm2"].flatMap((norm) => layerNormTensors(`${name}.${norm}`, width, eye)),
    ...["q", "k", "v", "o"].flatMap((layer) =>
      linearTensors(`${name}.${layer}`, width, width, eye),
    ),
    ...linearTensors(`${name}.fc1`, 4 * width, width, eye),
    ...linearTensors(`${name}.fc2`, width, 4 * width, eye),
  ];
  const blocks = Array.from({ length: depth }, (_, i) => i);
  return new Map([
    ...textTensors(text),
    ...linearTensors("eye.patches", width, vision.patchDim, eye),
    ...blocks.flatMap((i) => [...block(`eye.blocks.${i}`), ...merger(`eye.deep.${i}`)]),
    ...merger("eye.merger"),
    ...linearTensors("ear.proj", outWidth, FRAMES_PER_ROW * MEL_BINS, {
      ...{ part: "audio", joins: true },
    }),
  ]);
}

/** Every slice of a video follows its time in words, and stands between tokens of its own. */
const layout: Layout = (ids, media, { tokens, row, encode }) => {
  const { visionStart, visionEnd, video } = tokens;
  const constants = { positionIdPerSeconds: 1, mergeSize: MERGE };
  return layoutPrompt(ids, media, tokens, constants, row, (builder, at, medium) => {
    if (ids[at] !== visionStart || ids[at + 1] !== video || medium?.kind !== "video") return 0;
    const [, h, w] = medium.grid;
    const slice = { kind: "video", grid: [1, h, w] } as const;
    builder.begin();
    for (const seconds of medium.times) {
      for (const id of encode(`<${seconds.toFixed(1)} seconds>`)) builder.text(id);
      builder.text(visionStart!);
      const cells = visionTokens(slice.grid, MERGE);
      builder.next = builder.pictures(slice, builder.next, 0, cells) + 1;
      builder.text(visionEnd!);
    }
    for (let i = 0; i < (medium.audioTokens ?? 0); i++) builder.sound(builder.next++);
    return 3;
  });
};

export const glimpse: Family = {
  name: "Glimpse",
  modelTypes: ["glimpse"],
  architectures: ["GlimpseForConditionalGeneration"],
  pythonClass: "GlimpseForConditionalGeneration",
  names: {
    stored: (canonical) => `glimpse.${canonical}`,
    canonical: (stored) => stored.replace(/^glimpse\./, ""),
    module: (canonical) => canonical,
  },
  chatTemplate: OMNI_CHAT_TEMPLATE,
  spellings: {
    ...{ audio: "<|AUDIO|>", image: "<|IMAGE|>", video: "<|VIDEO|>" },
    ...{ audioStart: "<|audio_bos|>", audioEnd: "<|audio_eos|>" },
    ...{ visionStart: "<|vision_bos|>", visionEnd: "<|vision_eos|>" },
  },
  describe(top) {
    const text = parseText(top.section("text_config"), {
      ...{ vocabSize: 384, hiddenSize: 64, intermediateSize: 96, layers: 3, heads: 4, kvHeads: 2 },
      ...{ rmsNormEps: 1e-6, ropeTheta: 1e6, maxPositions: 4096 },
      ...{ attentionBias: false, qkNorm: true, rotary: "interleaved" },
    });
    const vision = parseVision(top.section("vision_config"), text.hiddenSize);
    const cell = vision.patchSize * MERGE;
    const limits = { minPixels: 4 * cell ** 2, maxPixels: 64 * cell ** 2 };
    return {
      ...{ text, tieWordEmbeddings: false, layout },
      tokens: {
        audio: top.integer("audio_token_id"),
        image: top.integer("image_token_id"),
        video: top.integer("video_token_id"),
        eos: top.integer("eos_token_id"),
      },
      vision: glimpseVision(vision),
      audio: glimpseAudio(MEL_BINS, text.hiddenSize),
      tensors: tensors(text, vision),
      preprocessing(files) {
        const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
        return {
          ...parsePictures(main),
          ...{ cell, image: limits, video: limits, fps: "sampled" as const },
          asked: { image: limits, video: { ...limits, totalPixels: 1024 * cell ** 2 } },
          maxSamples: parseSound(main, 30),
        };
      },
    };
  },
};
