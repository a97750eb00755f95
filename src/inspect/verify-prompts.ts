import { bytesSource } from "../io/byte-source.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { encodeSafetensors, type TensorToWrite } from "../checkpoint/safetensors-writer.ts";
import type { FamilyModel } from "../families/family.ts";
import type { ModelConfig } from "../network/config.ts";
import type { PatchGrid } from "../network/media.ts";
import type { PictureShape, SoundShape } from "../network/tower.ts";
import { mediaTokens, noTokenizer } from "./contract.ts";
import { readPrepared } from "./prepared.ts";
import type { MediumShape } from "../prompt/layout.ts";
import type { Sample } from "../prompt/sample.ts";

/**
 * The prompts of `aubade verify`, made of whole numbers only so that another program makes the same
 * bits: scripts/verify.py has the same formulas.
 */
const IMAGE: PatchGrid = [1, 8, 12];
const VIDEO: PatchGrid = [2, 8, 8];
/** Mel frames of a sound alone and of one that belongs to a video. */
const SOUND = 200;
const SOUNDTRACK = 100;
/** "system: You are a helpful assistant. user:" and a request, in the tokens of Qwen2.5. */
const BEFORE = [
  ...[151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198],
  ...[151644, 872, 198],
];
const AFTER = [
  ...[74785, 1128, 374, 2661, 1588, 304, 825, 11652, 13, 151645, 198],
  ...[151644, 77091, 198],
];
/** Placeholder ids from which on a vocabulary is that of Qwen2.5. */
const QWEN_PLACEHOLDERS = 151_646;

/** A prompt of known numbers. */
export interface VerifyPrompt {
  name: string;
  sample: Sample;
}

/** Returns the text around a medium; a small vocabulary has no words, only numbers. */
function words({ tokens }: ModelConfig): { before: number[]; after: number[] } {
  const { audio = Infinity, image = Infinity, video = Infinity } = tokens;
  const lowest = Math.min(audio, image, video);
  if (lowest >= QWEN_PLACEHOLDERS) return { before: BEFORE, after: AFTER };
  const room = lowest - 15;
  const ids = Array.from({ length: 15 }, (_, i) => 5 + ((7919 * (i + 1)) % room));
  return { before: ids.slice(0, 6), after: ids.slice(6) };
}

/**
 * Returns all prompts of a model's family: text, a picture, a video, a sound, a video with its
 * sound.
 */
export async function verifyPrompts(config: FamilyModel): Promise<VerifyPrompt[]> {
  const { vision, audio, tokens } = config;
  const { before, after } = words(config);
  // Qwen2-Audio's configuration does not name these; in its vocabulary they follow the placeholder.
  const soundEnds = [tokens.audioStart ?? tokens.audio! + 1, tokens.audioEnd ?? tokens.audio! + 2];
  const pictureEnds = [tokens.visionStart!, tokens.visionEnd!];
  const enclosed = (ends: number[], placeholder: number) => [ends[0]!, placeholder, ends[1]!];
  const frames = Math.min(SOUND, audio?.maxFrames ?? SOUND);
  const plans: [name: string, ids: number[], medium: MediumShape | undefined, mel: number][] = [
    ["text", [], undefined, 0],
  ];
  if (vision !== undefined) {
    const image: MediumShape = { kind: "image", file: "image", grid: IMAGE };
    plans.push(["image", enclosed(pictureEnds, tokens.image!), image, 0]);
    plans.push(["video", enclosed(pictureEnds, tokens.video!), videoShape(), 0]);
  }
  if (audio !== undefined) {
    const sound: MediumShape = { kind: "audio", file: "sound", audioTokens: audio.tokens(frames) };
    plans.push(["audio", enclosed(soundEnds, tokens.audio!), sound, frames]);
  }
  if (vision !== undefined && audio !== undefined) {
    const heard = { ...videoShape(), audioTokens: audio.tokens(SOUNDTRACK) };
    plans.push(["video-with-sound", enclosed(pictureEnds, tokens.video!), heard, SOUNDTRACK]);
  }
  const prompts: VerifyPrompt[] = [];
  for (const [name, ids, medium, mel] of plans) {
    const media = medium === undefined ? [] : [medium];
    const whole = [...before, ...ids, ...after];
    const { inputIds } = config.layout(whole, media, {
      ...{ tokens: mediaTokens(config), row: name },
      encode: noTokenizer(name),
    });
    const tensors = [integers("input_ids", [1, inputIds.length], inputIds)];
    if (medium !== undefined && medium.kind !== "audio") {
      tensors.push(...pictureTensors(medium.kind, medium.grid, vision!));
    }
    if (mel > 0) tensors.push(...soundTensors(mel, audio!));
    const source = bytesSource(encodeSafetensors(tensors));
    const batch = await readPrepared(await openSafetensors(source, name), config);
    prompts.push({ name, sample: batch.samples[0]! });
  }
  return prompts;
}

function videoShape() {
  return { kind: "video" as const, file: "video", grid: VIDEO, secondsPerGrid: 1, times: [0, 1] };
}

type Tensor = TensorToWrite & { data: ArrayBufferView };

function integers(name: string, shape: number[], values: Iterable<number>): Tensor {
  return { name, dtype: "I32", shape, data: Int32Array.from(values) };
}

/** Patches of a moving pattern: eighths of 256 levels, as (level - 128) / 64. */
function pictureTensors(kind: "image" | "video", grid: PatchGrid, vision: PictureShape): Tensor[] {
  const { inChannels, temporalPatchSize, patchSize, mergeSize, patchDim } = vision;
  const [slices, rows, columns] = grid;
  const patches = slices * rows * columns;
  const data = new Float32Array(patches * patchDim);
  const perCell = mergeSize ** 2;
  const cellColumns = columns / mergeSize;
  let at = 0;
  for (let patch = 0; patch < patches; patch++) {
    const slice = Math.floor(patch / (rows * columns));
    const cell = Math.floor((patch % (rows * columns)) / perCell);
    const inner = patch % perCell;
    const row = Math.floor(cell / cellColumns) * mergeSize + Math.floor(inner / mergeSize);
    const column = (cell % cellColumns) * mergeSize + (inner % mergeSize);
    for (let c = 0; c < inChannels; c++) {
      for (let f = 0; f < temporalPatchSize; f++) {
        // A picture is one frame, repeated.
        const frame = kind === "image" ? 0 : slice * temporalPatchSize + f;
        for (let y = row * patchSize; y < (row + 1) * patchSize; y++) {
          for (let x = column * patchSize; x < (column + 1) * patchSize; x++) {
            const blocks = Math.floor(x / 16) + Math.floor(y / 16);
            const level = (3 * x + 5 * y + 40 * blocks + 64 * c + 32 * frame) % 256;
            data[at++] = (level - 128) / 64;
          }
        }
      }
    }
  }
  const name = kind === "image" ? "pixel_values" : "pixel_values_videos";
  return [
    { name, dtype: "F32", shape: [patches, patchDim], data },
    integers(`${kind}_grid_thw`, [1, 3], grid),
  ];
}

function soundTensors(frames: number, { melBins, maxFrames }: SoundShape): Tensor[] {
  const columns = Number.isFinite(maxFrames) ? maxFrames : frames;
  const data = new Float32Array(melBins * columns);
  for (let m = 0; m < melBins; m++) {
    for (let t = 0; t < columns; t++) {
      data[m * columns + t] = ((7 * m + 13 * t + Math.floor(t / 8) * m) % 97) / 64 - 0.75;
    }
  }
  const mask = Array.from({ length: columns }, (_, t) => (t < frames ? 1 : 0));
  return [
    { name: "input_features", dtype: "F32", shape: [1, melBins, columns], data },
    integers("feature_attention_mask", [1, columns], mask),
  ];
}
