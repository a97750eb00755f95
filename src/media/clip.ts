import { DataError } from "../core/errors.ts";
import type { FrameInfo, VideoClip } from "./types.ts";
import type { Frame } from "../signal/frame.ts";

/**
 * Builds a clip of decoded frames, checking that all have one size.
 *
 * @throws {DataError} `media-frame-choice` for an index outside the clip, `media-empty-video`,
 *   `media-size-change`.
 */
export function videoClipOf(
  file: string,
  info: FrameInfo,
  indices: number[],
  decoded: Map<number, Frame>,
): VideoClip {
  const frames = indices.map((index) => {
    const frame = decoded.get(index);
    if (frame) return frame;
    throw new DataError(
      "media-frame-choice",
      `${file}: frame ${index} is chosen, but the clip has frames 0 to ${info.totalFrames - 1}.`,
    );
  });
  const first = frames[0];
  if (!first) throw emptyVideo(file);
  const odd = frames.find((f) => f.width !== first.width || f.height !== first.height);
  if (odd) {
    throw new DataError(
      "media-size-change",
      `${file} changes its size from ${first.width} x ${first.height} to ${odd.width} x ` +
        `${odd.height} at ${odd.timestamp.toFixed(2)} s.`,
      { hint: "Re-encode the clip at one size." },
    );
  }
  const { width, height } = first;
  return { file, frames, width, height, indices, ...info };
}

/** Returns the error of a clip without pictures. */
export function emptyVideo(file: string): DataError {
  return new DataError("media-empty-video", `${file} has a video track without frames.`, {
    hint: "Leave the row out, or use the file as audio.",
  });
}
