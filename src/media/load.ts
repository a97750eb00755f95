import { DataError } from "../core/errors.ts";
import { videoClipOf } from "./clip.ts";
import { decodeApart } from "./apart/decode.ts";
import type { DecodeAudioOptions } from "./decode-audio.ts";
import type { DecodeVideoOptions } from "./decode-video.ts";
import { qwenFrames } from "./frames.ts";
import {
  type AudioClip,
  type DecodeOptions,
  type FrameChoice,
  type MediaSource,
  sourceName,
  type VideoClip,
} from "./types.ts";
import type { Frame } from "../signal/frame.ts";

/** Pictures per second of a list that states none. */
const PICTURES_FPS = 2;

/** How to load a video. */
export interface LoadVideoOptions extends DecodeVideoOptions {
  /** Which frames. Default: the rule of qwen-omni-utils at 2 frames per second. */
  frames?: FrameChoice;
}

/**
 * Loads the chosen frames of a clip: a media file, a URL, bytes, or (in Node) a folder of frames.
 *
 * @throws {DataError} see `decodeVideo`.
 */
export function loadVideo(source: MediaSource, options: LoadVideoOptions = {}): Promise<VideoClip> {
  const { frames: choose = qwenFrames(), transform, onWarning } = options;
  const calls = { choose, onWarning, ...(transform && { transform }) };
  const job = { kind: "video" as const, source, transforms: transform !== undefined };
  return decodeApart(job, calls, options);
}

/**
 * Loads a picture file: PNG, JPEG, WebP, AVIF, BMP, TIFF (in Node) or the first picture of a GIF.
 *
 * @throws {DataError} see `decodeImage`.
 */
export function loadImage(source: MediaSource, options: DecodeOptions = {}): Promise<Frame> {
  return decodeApart({ kind: "image", source }, {}, options);
}

/** How to load a list of pictures as a video. */
export interface LoadPicturesOptions extends DecodeVideoOptions {
  /** Pictures per second. Default 2, as in qwen-vl-utils. */
  fps?: number;
}

/**
 * Loads a list of picture files as the frames of a clip; the last is repeated to an even number.
 *
 * The repeated one counts as a frame of the clip. `transform` gets that even number; qwen-vl-utils
 * resizes these frames as it does images (`pil`), and newer releases put the limits of videos on
 * them. A path that is named twice is decoded once.
 *
 * @throws {DataError} `media-empty-video` for an empty list, `media-bad-fps`, `media-size-change`
 *   when the pictures differ in size after `transform`, else see `decodeImage`.
 * Source: fetch_video of qwen-vl-utils, the branch for lists.
 */
export async function loadPictures(
  sources: readonly MediaSource[],
  { fps = PICTURES_FPS, transform, ...options }: LoadPicturesOptions = {},
): Promise<VideoClip> {
  const [first] = sources;
  if (first === undefined) {
    throw new DataError("media-empty-video", "A video is given as a list of no pictures.", {
      hint: "Name at least one picture file.",
    });
  }
  const file = `${sourceName(first)} and ${sources.length - 1} more`;
  if (!(fps > 0 && Number.isFinite(fps))) {
    throw new DataError("media-bad-fps", `${file}: ${fps} pictures per second are no frame rate.`);
  }
  const totalFrames = sources.length + (sources.length % 2);
  const decoded = new Map<MediaSource, Frame>();
  const frames = new Map<number, Frame>();
  for (let i = 0; i < totalFrames; i++) {
    const source = sources[Math.min(i, sources.length - 1)]!;
    let frame = decoded.get(source);
    if (!frame) {
      const picture = await loadImage(source, options);
      frame = (await transform?.(picture, totalFrames)) ?? picture;
      decoded.set(source, frame);
    }
    frames.set(i, { ...frame, timestamp: i / fps });
  }
  const info = { totalFrames, fps, durationS: totalFrames / fps };
  return videoClipOf(file, info, [...frames.keys()], frames);
}

/**
 * Loads the soundtrack of a clip or a sound file as 16 kHz mono.
 *
 * @throws {DataError} see `decodeAudio`.
 */
export function loadAudio(
  source: MediaSource,
  options: DecodeAudioOptions = {},
): Promise<AudioClip> {
  return decodeApart(
    { kind: "audio", source, track: options.track },
    { onWarning: options.onWarning },
    options,
  );
}
