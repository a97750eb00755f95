import { hash32 } from "../../src/core/random.ts";
import type { FamilyModel } from "../../src/families/family.ts";
import type { PatchGrid } from "../../src/network/media.ts";
import { type MediaTokens, type MediumShape, visionTokens } from "../../src/prompt/layout.ts";
import type { LedgerEntry, Sample } from "../../src/prompt/sample.ts";
import { audioTokens } from "../../src/network/towers/audio-layout.ts";
import { GoldenCase, goldenSample } from "./golden.ts";
import { promptFacts } from "./position-cases.ts";
import { randomF32, randomU32 } from "./random-data.ts";

/** A medium of a made prompt: grids in patches, sound in mel frames, `s` seconds between slices. */
type Medium =
  | { image: PatchGrid }
  | { video: PatchGrid; s: number }
  | { audio: number }
  /** A video whose own sound is interleaved with it. */
  | { video: PatchGrid; s: number; audio: number };

/**
 * Prompts that no golden has: together with the goldens every set of image, silent video, sound and
 * sounding video, and two media of a kind. Names list the media in the order of the conversation.
 */
const MADE: Readonly<Record<string, readonly Medium[]>> = {
  "image+video": [{ image: [1, 4, 6] }, { video: [2, 4, 4], s: 1 }],
  "audio+image": [{ audio: 30 }, { image: [1, 6, 4] }],
  "audio+audio": [{ audio: 30 }, { audio: 9 }],
  "video+video": [
    { video: [2, 2, 4], s: 0.5 },
    { video: [3, 4, 2], s: 2 },
  ],
  "audio+video+image": [{ audio: 21 }, { video: [3, 2, 4], s: 2 }, { image: [1, 2, 6] }],
  "image+av": [{ image: [1, 4, 4] }, { video: [4, 2, 4], s: 1, audio: 130 }],
  "av+audio": [{ video: [3, 4, 2], s: 0.5, audio: 101 }, { audio: 52 }],
  "av+av": [
    { video: [2, 4, 2], s: 1, audio: 55 },
    { video: [2, 2, 2], s: 2, audio: 150 },
  ],
  "image+av+audio": [{ image: [1, 2, 4] }, { video: [2, 4, 4], s: 1, audio: 80 }, { audio: 17 }],
  "video+image+av": [
    { video: [2, 4, 2], s: 1 },
    { image: [1, 4, 2] },
    { video: [2, 4, 4], s: 2, audio: 64 },
  ],
  "audio+video+av": [
    { audio: 40 },
    { video: [2, 2, 6], s: 0.5 },
    { video: [2, 4, 2], s: 0.5, audio: 33 },
  ],
  "av+audio+image+video": [
    { video: [2, 4, 4], s: 1, audio: 70 },
    { audio: 25 },
    { image: [1, 6, 2] },
    { video: [2, 2, 4], s: 1 },
  ],
};

/** The goldens of Omni's tiny-a whose prompts are used as trees. */
export const OMNI_GOLDENS = [
  "text",
  "image",
  "two-images",
  "video",
  "audio",
  "audio-edges",
  "audio-and-video",
  "av",
  "av-slow",
  "av-fast",
  "mixed",
] as const;

/** The prompts of every tiny model: of goldens, else made; every set of media that a family takes. */
export const PROMPTS = {
  "omni/tiny-a": [...OMNI_GOLDENS, ...Object.keys(MADE)],
  "omni/tiny-b": ["text", "av", "audio+video+image", "av+audio+image+video"],
  "vl/tiny-a": [
    "text",
    "image",
    "two-images",
    "video",
    "video-fps1",
    "video-fps05",
    "video-fraction",
    "image-and-video",
    "video+video",
  ],
  "vl/tiny-b": ["text", "video-fraction", "image-and-video"],
  "qwen2-audio/tiny-a": [
    "text",
    "audio",
    "audio-odd",
    "audio-edges",
    "audio-shortest",
    "audio-full",
    "two-clips",
  ],
  "qwen2-audio/tiny-b": ["text", "short-in-long", "audio+audio"],
} as const satisfies Record<string, readonly string[]>;

/** Name of a tiny model. */
export type TinyModel = keyof typeof PROMPTS;

/** A prompt of a tiny model by name, ready for a rollout. */
export async function openPrompt(
  model: TinyModel,
  name: string,
  config: FamilyModel,
): Promise<Sample> {
  const media = MADE[name];
  if (media !== undefined) return madeSample(name, media, config);
  const golden = await GoldenCase.open(`${model}-${name}`);
  const length = (await golden.integers("labels")).findIndex((label) => label >= 0);
  const sample = await goldenSample(golden, config, name, length, 0);
  return { ...sample, nextPos: Math.max(...sample.positions) + 1 };
}

/** A prompt of words and random media, laid out by the family's own rules; a function of the name. */
function madeSample(row: string, media: readonly Medium[], config: FamilyModel): Sample {
  const { audioStart, audioEnd, visionStart, visionEnd, ...placeholders } = config.tokens;
  const seed = hash32(row);
  const words = randomU32(4 * (media.length + 1), 60, seed);
  const ids = [...words.subarray(0, 4)];
  const shapes = media.map((medium, i): MediumShape => {
    const shape = shapeOf(medium);
    const seen = shape.kind !== "audio";
    const [start, end] = seen ? [visionStart, visionEnd] : [audioStart, audioEnd];
    const written = [start, placeholders[shape.kind], end].filter((id) => id !== undefined);
    ids.push(...written, ...words.subarray(4 * i + 4, 4 * i + 8));
    return shape;
  });
  const tokens = config.tokens as MediaTokens;
  const layout = config.layout(ids, shapes, promptFacts(tokens, row));
  const grids = shapes.flatMap((shape) => (shape.kind === "audio" ? [] : [shape.grid]));
  const patches = grids.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  const sounds = media.flatMap((medium) => ("audio" in medium ? [medium.audio] : []));
  const entry = (kind: LedgerEntry["kind"], rows: number): LedgerEntry => ({
    ...{ kind, file: row, medium: 0, frames: 0, seconds: 0 },
    ...{ featureRows: rows, placeholders: rows },
  });
  return {
    id: row,
    ...layout,
    grids,
    patches: randomF32(patches * (config.vision?.patchDim ?? 0), seed),
    mel: sounds.map((frames, i) => ({
      data: randomF32(config.audio!.columns(frames) * config.audio!.melBins, seed + 1 + i),
      frames,
    })),
    ledger: [
      ...grids.map((grid) => entry("video", visionTokens(grid, config.vision!.mergeSize))),
      ...sounds.map((frames) => entry("audio", audioTokens(frames))),
    ],
    warnings: [],
  };
}

function shapeOf(medium: Medium): MediumShape {
  const file = "made";
  if ("image" in medium) return { kind: "image", file, grid: medium.image };
  if (!("video" in medium)) {
    return { kind: "audio", file, audioTokens: audioTokens(medium.audio) };
  }
  const { video: grid, s: secondsPerGrid } = medium;
  const sound = "audio" in medium ? { audioTokens: audioTokens(medium.audio) } : {};
  return { kind: "video", file, grid, secondsPerGrid, times: [], ...sound };
}
