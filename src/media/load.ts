import { DataError } from "../core/errors.ts";
import { decodeAudio, type DecodeAudioOptions } from "./decode-audio.ts";
import { decodeVideo, type DecodeVideoOptions } from "./decode-video.ts";
import { qwenFrames } from "./frames.ts";
import type { AudioClip, FrameChoice, MediaSource, VideoClip } from "./types.ts";

/** The fewest samples at 16 kHz that give an audio tower one token: 3 mel frames. */
export const MIN_AUDIO_SAMPLES = 321;

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
  return decodeVideo(source, options.frames ?? qwenFrames(), options);
}

/**
 * Loads the soundtrack of a clip or a sound file as 16 kHz mono.
 *
 * @throws {DataError} `media-too-short-audio` below 321 samples, else see `decodeAudio`.
 */
export async function loadAudio(
  source: MediaSource,
  options: DecodeAudioOptions = {},
): Promise<AudioClip> {
  const clip = await decodeAudio(source, options);
  if (clip.samples.length >= MIN_AUDIO_SAMPLES) return clip;
  throw new DataError(
    "media-too-short-audio",
    `${clip.file} has ${clip.samples.length} samples of sound at 16 kHz; a token needs at least ` +
      `${MIN_AUDIO_SAMPLES}.`,
    { hint: "Turn audio off for this row, or leave it out." },
  );
}
