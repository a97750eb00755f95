import type { AudioSample, VideoSample } from "mediabunny";
import { AubadeError } from "../core/errors.ts";
import type { FrameTime } from "../container/frame-rate.ts";
import type { Orientation } from "./orient.ts";

/** A medium in a container or a codec that mediabunny does not know, opened by the platform. */
export interface ForeignMedium {
  pictures: ForeignPictures | null;
  /** The first soundtrack. */
  sound: ForeignSound | null;
  close: () => void;
}

/** Pictures of a foreign medium. */
export interface ForeignPictures {
  /** Frames per second as the container states them. */
  frameRate: number;
  /** Frames that the container states; 0 where it does not. */
  statedFrames: number;
  orientation: Orientation;
  /** The times of all packets that are part of the clip. */
  times: () => Promise<FrameTime[]>;
  samples: () => AsyncGenerator<VideoSample>;
}

/** Sound of a foreign medium. */
export interface ForeignSound {
  /** Seconds that the container states; 0 where it does not. */
  statedS: number;
  samples: () => AsyncGenerator<AudioSample>;
}

/** Errors that say that mediabunny does not know what is in a file, but that it is there. */
const UNKNOWN = new Set([
  "media-unreadable",
  "media-decoder-missing",
  "media-no-video-track",
  "media-no-audio-track",
  "media-edit-list",
]);

/**
 * Reads a medium, and a second time by another way where the first does not know what is in it.
 *
 * @throws {AubadeError} of the first way when the second does not know either.
 */
export async function orForeign<T>(
  first: () => Promise<T>,
  open: () => Promise<ForeignMedium | null>,
  second: (medium: ForeignMedium) => Promise<T> | null,
): Promise<T> {
  try {
    return await first();
  } catch (error) {
    if (!(error instanceof AubadeError) || !UNKNOWN.has(error.code)) throw error;
    const medium = await open();
    try {
      const read = medium && second(medium);
      if (!read) throw error;
      return await read;
    } finally {
      medium?.close();
    }
  }
}
