import { DataError } from "../core/errors.ts";
import { sampledFps, qwenFrames } from "../media/frames.ts";
import { HOP } from "../signal/log-mel.ts";
import { loadAudio, loadImage, loadPictures, loadVideo } from "../media/load.ts";
import { resizeFrame, type Size } from "../signal/resize.ts";
import {
  type AudioClip,
  type DecodeOptions,
  type MediaSource,
  sourceName,
  type VideoClip,
} from "../media/types.ts";
import type { Frame } from "../signal/frame.ts";
import type { MediaPart, VideoPart } from "../text/chat-template.ts";
import type { ModelConfig } from "../network/config.ts";
import type { PatchGrid } from "../network/media.ts";
import type { AudioTower, PictureShape, SoundShape } from "../network/tower.ts";
import type { MediumShape } from "./layout.ts";
import type { Preprocessing } from "./preprocessing.ts";
import {
  askedImageSize,
  askedVideoSize,
  imageSizes,
  listedPictureSize,
  type SizeOptions,
  videoSizes,
} from "./sizes.ts";

/**
 * A decoded medium, in the order of the conversation's parts.
 *
 * `sized`: the pictures already have the size that the message asks for.
 */
export type LoadedMedium =
  | { kind: "image"; file: string; frame: Frame; sized?: boolean }
  | { kind: "audio"; audio: AudioClip }
  | { kind: "video"; video: VideoClip; audio?: AudioClip | undefined; sized?: boolean };

/** Settings of a run that go before those of a part and of the checkpoint. */
export interface MediaOptions extends SizeOptions {
  /**
   * Seconds of a temporal slice for the positions, or `sampled` for what the chosen frames of each
   * video say. Left out: temporalPatchSize divided by the part's fps, else by the family's rule (Omni:
   * 2 frames a second whatever was sampled; VL: what was sampled).
   */
  secondsPerGrid?: number | "sampled" | undefined;
}

/** Something about a medium that is no error but that a user should know. */
export interface MediumWarning {
  code: string;
  message: string;
}

/** A medium before it becomes tensors: its shape in the prompt, and what the tensors will be. */
export interface PlannedMedium {
  shape: MediumShape;
  /**
   * Sizes to which pictures are resized one after the other: the one that the message asks for, then
   * the processor's where that differs. Empty for audio.
   */
  sizes: Size[];
  /** Frames chosen, 1 for an image, 0 for audio. */
  frames: number;
  /** Seconds of a video as its frames say, 0 for others. */
  seconds: number;
  /** Mel frames of the sound or soundtrack that will be heard; 0 without. */
  melFrames: number;
  /** Seconds of sound that are heard; 0 without. */
  heardS: number;
  warnings: MediumWarning[];
}

/** Factor between the time that positions assume and that of the frames, above which to warn. */
const TIME_SCALE_WARNING = 1.5;

/**
 * Plans a medium: resized size, grid, tokens. Touches no pixel and no sample.
 *
 * @throws {DataError} `media-mismatch`, `unsupported-medium`, `missing-soundtrack`,
 *   `audio-too-short`, `media-aspect`, `media-limits`.
 */
export function planMedium(
  part: MediaPart,
  medium: LoadedMedium,
  model: ModelConfig,
  config: Preprocessing,
  options: MediaOptions = {},
): PlannedMedium {
  const { vision, audio } = model;
  if (part.type === "image" && medium.kind === "image") {
    if (vision === undefined) throw unsupported(model, medium.file, "pictures");
    const sizes = imageSizes(medium.frame, medium.sized ?? false, part, config, options);
    const grid = gridOf(sizes.at(-1)!, 1, vision);
    const shape = { kind: "image" as const, file: medium.file, grid };
    return { shape, sizes, frames: 1, seconds: 0, ...SILENT };
  }
  if (part.type === "audio" && medium.kind === "audio") {
    if (audio === undefined) throw unsupported(model, medium.audio.file, "sound");
    const heard = planSound(medium.audio, config, audio);
    const { file } = medium.audio;
    const shape = { kind: "audio" as const, file, audioTokens: audio.tokens(heard.melFrames) };
    return { shape, sizes: [], frames: 0, seconds: 0, ...heard };
  }
  if (part.type === "video" && medium.kind === "video") {
    return planVideo(part, medium, model, config, options);
  }
  const file = fileOf(medium);
  throw new DataError("media-mismatch", `${file} is ${medium.kind} where ${part.type} belongs.`, {
    hint: "Give the media in the order of the conversation's parts.",
  });
}

function unsupported({ name }: ModelConfig, file: string, what: string): DataError {
  return new DataError("unsupported-medium", `${file}: ${name} takes no ${what}.`, {
    hint: `Leave it out of the conversation, or use a model that takes ${what}.`,
  });
}

/** Returns the file of a medium as messages name it. */
export function fileOf(medium: LoadedMedium): string {
  if (medium.kind === "image") return medium.file;
  return medium.kind === "audio" ? medium.audio.file : medium.video.file;
}

function planVideo(
  part: VideoPart,
  medium: Extract<LoadedMedium, { kind: "video" }>,
  model: ModelConfig,
  config: Preprocessing,
  options: MediaOptions,
): PlannedMedium {
  const { vision, audio } = model;
  const { video, audio: track } = medium;
  if (vision === undefined) throw unsupported(model, video.file, "pictures");
  const sound = part.use_audio_in_video ?? (track !== undefined && audio !== undefined);
  if (sound && audio === undefined) throw unsupported(model, video.file, "sound");
  if (sound && track === undefined) {
    throw noSoundtrack(video.file);
  }
  const frames = video.frames.length;
  const sizes = videoSizes(video, frames, medium.sized ?? false, part, config, options);
  const sampled = vision.temporalPatchSize / sampledFps(video, frames);
  const fps =
    config.fps === "sampled"
      ? sampledFps(video, frames)
      : (part.sample_fps ?? part.fps ?? config.fps);
  const asked = options.secondsPerGrid ?? vision.temporalPatchSize / fps;
  const secondsPerGrid = asked === "sampled" ? sampled : asked;
  const heard = sound ? planSound(track!, config, audio!) : SILENT;
  return {
    ...heard,
    shape: {
      kind: "video",
      file: video.file,
      grid: gridOf(sizes.at(-1)!, Math.ceil(frames / vision.temporalPatchSize), vision),
      secondsPerGrid,
      times: sliceTimes(video, vision.temporalPatchSize),
      ...(sound ? { audioTokens: audio!.tokens(heard.melFrames) } : {}),
    },
    sizes,
    frames,
    seconds: video.durationS,
    warnings: [
      ...heard.warnings,
      ...timeWarning(video.file, secondsPerGrid, sampled),
      ...sizeWarning(video.file, sizes),
    ],
  };
}

function timeWarning(file: string, assumed: number, sampled: number): MediumWarning[] {
  const scale = Math.max(assumed / sampled, sampled / assumed);
  if (scale <= TIME_SCALE_WARNING) return [];
  const message =
    `${file}: positions take two frames for ${assumed} s, but they are ${sampled.toFixed(3)} s ` +
    `apart in the file; set the seconds of a slice to "sampled" if that is not meant`;
  return [{ code: "video-time-scale", message }];
}

function sizeWarning(file: string, [first, last]: readonly Size[]): MediumWarning[] {
  if (last === undefined || last.width <= first!.width) return [];
  const message =
    `${file}: frames are brought from ${first!.width} x ${first!.height} back to ${last.width} x ` +
    `${last.height}, the least of this processor`;
  return [{ code: "video-upscaled", message }];
}

function gridOf(size: Size, slices: number, { patchSize }: PictureShape): PatchGrid {
  return [slices, size.height / patchSize, size.width / patchSize];
}

/** Mean time of the frames of every slice; the last frame fills up the last slice. */
function sliceTimes({ frames }: VideoClip, perSlice: number): number[] {
  return Array.from({ length: Math.ceil(frames.length / perSlice) }, (_, slice) => {
    const time = (i: number) => frames[Math.min(i, frames.length - 1)]!.timestamp;
    const times = Array.from({ length: perSlice }, (_, i) => time(slice * perSlice + i));
    return times.reduce((sum, seconds) => sum + seconds, 0) / perSlice;
  });
}

/** Returns mel frames that are kept of `samples` samples: one per hop begun. */
export function melFrames(samples: number): number {
  return Math.ceil(samples / HOP);
}

/**
 * Checks that a clip has a length that the tower takes.
 *
 * @throws {DataError} `audio-too-short`, `audio-too-long`.
 */
export function checkSoundLength(
  frames: number,
  name: string,
  { minFrames, maxFrames }: Pick<SoundShape, "minFrames" | "maxFrames">,
): void {
  if (frames < minFrames) {
    throw new DataError(
      "audio-too-short",
      `${name} has ${frames} mel frames; the audio tower needs at least ${minFrames}.`,
      { hint: `Use a clip of at least ${(minFrames - 1) * HOP + 1} samples at 16 kHz.` },
    );
  }
  if (frames <= maxFrames) return;
  throw new DataError(
    "audio-too-long",
    `${name} has ${frames} mel frames; the audio tower takes at most ${maxFrames}.`,
    { hint: "Cut the clip." },
  );
}

const SILENT = { melFrames: 0, heardS: 0, warnings: [] };

/** Says how much of a sound remains after the family's limit. */
function planSound(audio: AudioClip, { maxSamples }: Preprocessing, tower: AudioTower) {
  const samples = audio.samples.length;
  const frames = Math.min(melFrames(samples), Math.floor(maxSamples / HOP));
  checkSoundLength(frames, audio.file, tower);
  const heardS = Math.min(samples, maxSamples) / audio.sampleRate;
  const message = `${audio.file}: only the first ${heardS} s of ${audio.durationS} s are heard`;
  const warnings = samples > maxSamples ? [{ code: "audio-cut", message }] : [];
  return { melFrames: frames, heardS, warnings };
}

/**
 * Decodes the medium of one part of a conversation; pictures come at the size that the message asks
 * for.
 *
 * Callers that ask often keep the result: it depends on the part, the configuration and the limits
 * of the options only.
 *
 * @throws {DataError} of the decoders; `no-media` for a part without a file; `media-aspect` and
 *   `media-limits`; `missing-soundtrack` for a list of pictures that is to be heard.
 */
export async function loadMedium(
  part: MediaPart,
  config: Preprocessing,
  options: MediaOptions & DecodeOptions = {},
): Promise<LoadedMedium> {
  if (part.type === "audio" && part.audio !== undefined) {
    return { kind: "audio", audio: await loadAudio(part.audio, options) };
  }
  if (part.type === "image" && part.image !== undefined) {
    const picture = await loadImage(part.image, options);
    const frame = resizeFrame(picture, askedImageSize(picture, part, config, options), "pil");
    return { kind: "image", file: sourceName(part.image), frame, sized: true };
  }
  if (part.type !== "video" || part.video === undefined) {
    throw new DataError("no-media", `A part of type ${part.type} has no file to decode.`, {
      hint: "Name the file of the part, or decode it yourself and give its pixels.",
    });
  }
  const toAsked = (frame: Frame, count: number) =>
    resizeFrame(frame, askedVideoSize(frame, count, part, config, options), "float");
  if (isList(part.video)) {
    const fps = part.sample_fps ?? part.fps;
    const video = await loadPictures(part.video, {
      ...options,
      ...(fps === undefined ? {} : { fps }),
      transform: (picture, count) =>
        toAsked(resizeFrame(picture, listedPictureSize(picture, part, config.cell), "pil"), count),
    });
    if (part.use_audio_in_video === true) throw noSoundtrack(video.file);
    return { kind: "video", video, sized: true };
  }
  const { fps, nframes, min_frames: minFrames, max_frames: maxFrames } = part;
  const choice = { fps, nframes, minFrames, maxFrames };
  const given = Object.entries(choice).filter(([, value]) => value !== undefined);
  const video = await loadVideo(part.video, {
    ...options,
    frames: qwenFrames(Object.fromEntries(given)),
    transform: toAsked,
  });
  if (part.use_audio_in_video !== true) return { kind: "video", video, sized: true };
  return { kind: "video", video, audio: await loadAudio(part.video, options), sized: true };
}

function isList(video: NonNullable<VideoPart["video"]>): video is readonly MediaSource[] {
  return Array.isArray(video);
}

function noSoundtrack(file: string): DataError {
  return new DataError("missing-soundtrack", `${file} is to be heard but has no sound.`, {
    hint: "Set use_audio_in_video to false for this row, or leave it out.",
  });
}
