import { DataError } from "../core/errors.ts";
import { smartResize, videoFrameSize } from "../media/smart-resize.ts";
import type { ImagePart, VideoPart } from "../text/chat-template.ts";
import type { PixelLimits, ProcessorConfig } from "./processor-config.ts";

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** Limits of a run, which go before those of a part and of the checkpoint. */
export interface SizeOptions {
  image?: Partial<PixelLimits> | undefined;
  video?: Partial<PixelLimits & { totalPixels: number }> | undefined;
}

/** The side of a cell, the patches of one token, in all families. */
const CELL = 28;

/**
 * The size to which a message asks an image to be brought.
 *
 * @throws {DataError} `media-aspect`; `media-limits` when a part contradicts itself.
 * Source: fetch_image of qwen-vl-utils 0.0.14.
 */
export function askedImageSize(
  size: Size,
  part: ImagePart,
  { asked }: ProcessorConfig,
  { image: run = {} }: SizeOptions,
): Size {
  const fixed = fixedSize(part, CELL);
  if (fixed !== undefined) return fixed;
  return smartResize(size, {
    minPixels: run.minPixels ?? part.min_pixels ?? asked.image.minPixels,
    maxPixels: run.maxPixels ?? part.max_pixels ?? asked.image.maxPixels,
    lift: true,
  });
}

/**
 * The size to which a message asks the frames of a video to be brought.
 *
 * @param frames - how many there are.
 * @throws {DataError} `media-aspect`; `media-limits` when a part contradicts itself.
 * Source: fetch_video of qwen-vl-utils 0.0.14.
 */
export function askedVideoSize(
  size: Size,
  frames: number,
  part: VideoPart,
  { asked }: ProcessorConfig,
  { video: run = {} }: SizeOptions,
): Size {
  const fixed = fixedSize(part, CELL);
  if (fixed !== undefined) return fixed;
  return videoFrameSize(size, frames, {
    minPixels: run.minPixels ?? part.min_pixels ?? asked.video.minPixels,
    maxPixels: run.maxPixels ?? part.max_pixels ?? asked.video.maxPixels,
    totalPixels: run.totalPixels ?? part.total_pixels ?? asked.video.totalPixels,
  });
}

/**
 * The size to which a picture of a list is brought before it is treated as a frame of a video.
 *
 * The utilities give the side of a cell where that of a patch is meant, so these sides are multiples
 * of two cells, and the limits that they assume are four times those of images.
 *
 * Source: fetch_video of qwen-vl-utils 0.0.14, the branch for lists.
 */
export function listedPictureSize(size: Size, part: VideoPart): Size {
  const fixed = fixedSize(part, 2 * CELL);
  if (fixed !== undefined) return fixed;
  const factor = 2 * CELL;
  const { min_pixels: minPixels = 4 * factor ** 2, max_pixels: maxPixels = 16384 * factor ** 2 } =
    part;
  return smartResize(size, { factor, minPixels, maxPixels, lift: true });
}

/**
 * The size into which the official processor brings what was resized to a size: the same where that
 * is within its limits.
 *
 * Source: transformers 4.57.6, Qwen2VLImageProcessor and Qwen2VLVideoProcessor.
 */
export function processorSize(size: Size, limits: PixelLimits, run: Partial<PixelLimits>): Size {
  const maxPixels = run.maxPixels ?? limits.maxPixels;
  const minPixels = run.minPixels ?? Math.min(limits.minPixels, maxPixels);
  return smartResize(size, { minPixels, maxPixels });
}

/** Says whether two sizes are one. */
export function sameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height;
}

/** The sides that a part states, brought to multiples of a factor. */
function fixedSize(part: ImagePart | VideoPart, factor: number): Size | undefined {
  const { resized_height: height, resized_width: width, min_pixels: min, max_pixels: max } = part;
  if (min !== undefined && max !== undefined && min > max) {
    throw new DataError("media-limits", `min_pixels ${min} is above max_pixels ${max}.`, {
      hint: "Give a max_pixels of at least min_pixels.",
    });
  }
  if (height === undefined && width === undefined) return undefined;
  if (height === undefined || width === undefined) {
    throw new DataError(
      "media-limits",
      `resized_${height === undefined ? "width" : "height"} is given without its other side.`,
      { hint: "Give both resized_height and resized_width, or none." },
    );
  }
  const limits = { minPixels: 4 * factor ** 2, maxPixels: 16384 * factor ** 2 };
  return smartResize({ width, height }, { factor, ...limits, lift: true });
}
