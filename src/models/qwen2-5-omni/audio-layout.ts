import { DataError } from "../../core/errors.ts";

/** Samples of 16 kHz audio from one mel frame to the next. */
export const HOP_SAMPLES = 160;

/** Fewest mel frames of a clip: below, the tower has no row to give. */
export const MIN_AUDIO_FRAMES = 3;

/** One stretch of a clip that the audio tower processes by itself. */
export interface AudioChunk {
  /** Index of the clip. */
  clip: number;
  /** First mel frame, counted within the clip. */
  frameStart: number;
  /** Mel frames in the chunk. */
  frames: number;
  /** First row after the second convolution, counted over all clips. */
  rowStart: number;
  /** Rows after the second convolution: also the attention segment. */
  rows: number;
}

/** How the rows of one clip are pooled in pairs. */
export interface AudioClipLayout {
  frames: number;
  /** First row after the convolutions, counted over all clips. */
  rowStart: number;
  /** Rows after the convolutions; an odd last one is dropped by the pooling. */
  rows: number;
  /** First feature row, counted over all clips. */
  featureStart: number;
  /** Feature rows of the clip: its placeholders. */
  features: number;
}

/** How the audio tower walks over a list of clips. */
export interface AudioLayout {
  chunks: AudioChunk[];
  clips: AudioClipLayout[];
  /** Rows after the convolutions over all clips. */
  rows: number;
  /** Feature rows over all clips. */
  features: number;
  /** [chunks + 1] bounds of the attention segments, in rows. */
  segments: Uint32Array<ArrayBuffer>;
  /** [features] the first row of every pooled pair; the second is the next one. */
  pairs: Uint32Array<ArrayBuffer>;
}

/** Mel frames that are kept of `samples` samples: one per hop begun. */
export function melFrames(samples: number): number {
  return Math.ceil(samples / HOP_SAMPLES);
}

/** Rows that the two convolutions make of `frames` mel frames. */
export function convolvedRows(frames: number): number {
  return Math.floor((frames - 1) / 2) + 1;
}

/** Feature rows, and so placeholders, of a clip of `frames` mel frames: about 25 a second. */
export function audioTokens(frames: number): number {
  return Math.floor((convolvedRows(frames) - 2) / 2) + 1;
}

/**
 * Lays out the chunks, attention segments and pooling of a list of clips.
 *
 * @param frames - mel frames of each clip.
 * @param chunkFrames - mel frames of a full chunk: 2 * n_window.
 * @throws {DataError} `audio-too-short` for a clip of fewer than 3 frames.
 * Source: model-spec E.1; transformers 4.57.6, Qwen2_5OmniAudioEncoder.
 */
export function layoutAudio(frames: readonly number[], chunkFrames: number): AudioLayout {
  const chunks: AudioChunk[] = [];
  const clips: AudioClipLayout[] = [];
  let rows = 0;
  let features = 0;
  frames.forEach((length, clip) => {
    checkAudioFrames(length, `audio clip ${clip + 1}`);
    const rowStart = rows;
    for (let start = 0; start < length; start += chunkFrames) {
      const chunk = Math.min(chunkFrames, length - start);
      const chunkRows = convolvedRows(chunk);
      chunks.push({ clip, frameStart: start, frames: chunk, rowStart: rows, rows: chunkRows });
      rows += chunkRows;
    }
    const count = Math.floor((rows - rowStart - 2) / 2) + 1;
    const layout = { frames: length, rowStart, rows: rows - rowStart };
    clips.push({ ...layout, featureStart: features, features: count });
    features += count;
  });
  const segments = Uint32Array.from([...chunks.map((chunk) => chunk.rowStart), rows]);
  const pairs = new Uint32Array(features);
  for (const clip of clips) {
    for (let i = 0; i < clip.features; i++) pairs[clip.featureStart + i] = clip.rowStart + 2 * i;
  }
  return { chunks, clips, rows, features, segments, pairs };
}

/**
 * Checks that a clip is long enough for the tower.
 *
 * @throws {DataError} `audio-too-short`.
 */
export function checkAudioFrames(frames: number, name: string): void {
  if (frames >= MIN_AUDIO_FRAMES) return;
  throw new DataError(
    "audio-too-short",
    `${name} has ${frames} mel frames; the audio tower needs at least ${MIN_AUDIO_FRAMES}.`,
    { hint: `Use a clip of at least ${2 * HOP_SAMPLES + 1} samples at 16 kHz.` },
  );
}
