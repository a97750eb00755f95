/**
 * TMRoPE positions (Qwen2.5-Omni technical report, section 2.2).
 *
 * One deviation from transformers, which computes the order of interleaved audio and video twice,
 * in float64 for the tokens and in float32 for the positions, and disagrees with itself for 3 % of
 * frame rates: here the order is computed once, in float64, and each token carries its position.
 */

import type { Layout } from "../family.ts";
import {
  type LayoutConfig,
  layoutPrompt,
  type LayoutBuilder,
  type MediaTokens,
  type MediumShape,
  visionTokens,
} from "../../prompt/layout.ts";

type SoundVideo = Extract<MediumShape, { kind: "video" }> & { audioTokens: number };

/** The constants of an Omni model on which the layout depends. */
export interface OmniLayoutConfig extends LayoutConfig {
  /** Seconds of a chunk when video and its audio are interleaved. */
  secondsPerChunk: number;
}

/**
 * Returns the layout of a model of these constants.
 *
 * A video with `audioTokens` becomes the interleaved audio-and-video run; one without keeps the
 * plain layout, in the same conversation too.
 *
 * Source: transformers 4.57.6, get_rope_index and
 * replace_multimodal_special_tokens of qwen2_5_omni.
 */
export function omniLayout(config: OmniLayoutConfig): Layout {
  return (ids, media, { tokens, row }) =>
    layoutPrompt(ids, media, tokens, config, row, (builder, at, medium) => {
      const enclosed =
        ids[at] === tokens.visionStart &&
        ids[at + 1] === tokens.video &&
        ids[at + 2] === tokens.visionEnd;
      if (!enclosed || medium?.kind !== "video" || medium.audioTokens === undefined) return 0;
      interleave(builder, medium as SoundVideo, tokens, config);
      return 3;
    });
}

/** Start tokens share a position, then chunks of video and audio in turn, then end tokens. */
function interleave(
  builder: LayoutBuilder,
  video: SoundVideo,
  { audioStart, audioEnd, visionStart, visionEnd }: MediaTokens,
  { positionIdPerSeconds, secondsPerChunk, mergeSize }: OmniLayoutConfig,
): void {
  const { grid, secondsPerGrid, audioTokens } = video;
  builder.text(visionStart!, audioStart!);
  builder.begin();
  const base = builder.next;
  const perSlice = visionTokens(grid, mergeSize) / grid[0];
  const videoTime = (i: number) => Math.floor(i / perSlice) * secondsPerGrid * positionIdPerSeconds;
  const width = Math.trunc(positionIdPerSeconds * secondsPerChunk);
  const videoChunks = splitChunks(perSlice * grid[0], videoTime, width);
  const audioChunks = splitChunks(audioTokens, (i) => i, width);
  let last = base;
  for (let j = 0; j < Math.max(videoChunks.length, audioChunks.length); j++) {
    const [videoChunk, audioChunk] = [videoChunks[j], audioChunks[j]];
    if (videoChunk) last = builder.pictures(video, base, ...videoChunk);
    if (audioChunk) {
      for (let i = audioChunk[0]; i < audioChunk[1]; i++) builder.sound(base + i);
      last = base + audioChunk[1] - 1;
    }
  }
  // Only the last chunk counts, so text can stand before the end of a longer video.
  builder.next = last + 1;
  builder.text(audioEnd!, visionEnd!);
}

/**
 * Splits 0 .. count-1 into chunks by time.
 *
 * The counter advances once per element, not once per limit passed: a slice that jumps over several
 * limits has its elements spread over the next chunks, as in the reference.
 */
function splitChunks(
  count: number,
  time: (index: number) => number,
  width: number,
): [start: number, end: number][] {
  const chunks: [number, number][] = [];
  let start = 0;
  for (let i = 0; i < count; i++) {
    if (time(i) < (chunks.length + 1) * width) continue;
    chunks.push([start, i]);
    start = i;
  }
  chunks.push([start, count]);
  return chunks;
}
