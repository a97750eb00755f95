import { assert } from "../../core/errors.ts";

/** Minimum of the mel frames of a clip: below, the tower has no row to give. */
export const MIN_AUDIO_FRAMES = 3;

/** One stretch of a clip that the audio tower processes by itself. */
export interface AudioChunk {
  /** Index of the clip. */
  clip: number;
  /** First mel frame, counted within the clip. */
  frameStart: number;
  /** Columns of the log-mel in the chunk. */
  columns: number;
  /** First row after the second convolution, counted over all clips. */
  rowStart: number;
  /** Rows after the second convolution: also the attention segment. */
  rows: number;
}

/** How the rows of one clip are pooled in pairs. */
export interface AudioClipLayout {
  frames: number;
  /** First column of the clip's log-mel, counted over all clips. */
  columnStart: number;
  /** Columns of its log-mel: its frames and those after its end that the tower sees. */
  columns: number;
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
  /** Columns of the log-mel over all clips. */
  columns: number;
  /** Feature rows over all clips. */
  features: number;
  /** [chunks + 1] bounds of the attention segments, in rows. */
  segments: Uint32Array<ArrayBuffer>;
  /** [features] the first row of every pooled pair; the second is the next one. */
  pairs: Uint32Array<ArrayBuffer>;
}

/** The constants of an audio tower on which its layout depends. */
export interface AudioLayoutConfig {
  /** Mel frames that are processed together: attention and convolutions never leave a chunk. */
  chunkFrames: number;
  /** Mel frames after the end of a clip that its last rows depend on. */
  tailFrames: number;
  /** Maximum of the mel frames of a clip. */
  maxFrames: number;
}

/** Columns of the log-mel that the tower wants of a clip of `frames` mel frames. */
export function melColumns(frames: number, config: AudioLayoutConfig): number {
  return Math.min(frames + config.tailFrames, config.maxFrames);
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
 * Source: transformers 4.57.6, Qwen2_5OmniAudioEncoder, Qwen2AudioEncoder.
 */
export function layoutAudio(frames: readonly number[], config: AudioLayoutConfig): AudioLayout {
  const chunks: AudioChunk[] = [];
  const clips: AudioClipLayout[] = [];
  let rows = 0;
  let columns = 0;
  let features = 0;
  frames.forEach((length, clip) => {
    assert(
      length >= MIN_AUDIO_FRAMES && length <= config.maxFrames,
      `audio clip ${clip + 1} has ${length} mel frames; its length was checked when it was planned`,
    );
    const rowStart = rows;
    const wanted = melColumns(length, config);
    for (let start = 0; start < length; start += config.chunkFrames) {
      const end = Math.min(start + config.chunkFrames, length);
      // Only the last chunk of a clip sees beyond its end.
      const chunkColumns = (end === length ? wanted : end) - start;
      const chunkRows = convolvedRows(end - start);
      chunks.push({
        ...{ clip, frameStart: start, columns: chunkColumns, rowStart: rows, rows: chunkRows },
      });
      rows += chunkRows;
    }
    const count = Math.floor((rows - rowStart - 2) / 2) + 1;
    const layout = { frames: length, columnStart: columns, columns: wanted };
    clips.push({
      ...layout,
      rowStart,
      rows: rows - rowStart,
      featureStart: features,
      features: count,
    });
    columns += wanted;
    features += count;
  });
  const segments = Uint32Array.from([...chunks.map((chunk) => chunk.rowStart), rows]);
  const pairs = new Uint32Array(features);
  for (const clip of clips) {
    for (let i = 0; i < clip.features; i++) pairs[clip.featureStart + i] = clip.rowStart + 2 * i;
  }
  return { chunks, clips, rows, columns, features, segments, pairs };
}
