import { DataError } from "../core/errors.ts";
import { roundHalfEven, type Size } from "../signal/resize.ts";
import type { ImagePart, VideoPart } from "../text/chat-template.ts";
import type { PixelLimits, Preprocessing } from "./preprocessing.ts";

/** Limits of a run, which go before those of a part and of the checkpoint. */
export interface SizeOptions {
  image?: Partial<PixelLimits> | undefined;
  video?: Partial<PixelLimits & { totalPixels: number }> | undefined;
}

/**
 * Returns the size to which a message asks an image to be brought.
 *
 * @throws {DataError} `media-aspect`; `media-limits` when a part contradicts itself.
 * Source: fetch_image of qwen-vl-utils 0.0.14.
 */
export function askedImageSize(
  size: Size,
  part: ImagePart,
  { asked, cell }: Preprocessing,
  { image: run = {} }: SizeOptions,
): Size {
  const fixed = fixedSize(part, cell);
  if (fixed !== undefined) return fixed;
  return smartResize(size, {
    factor: cell,
    minPixels: run.minPixels ?? part.min_pixels ?? asked.image.minPixels,
    maxPixels: run.maxPixels ?? part.max_pixels ?? asked.image.maxPixels,
    lift: true,
  });
}

/**
 * Returns the size to which a message asks the frames of a video to be brought.
 *
 * @param frames - how many there are.
 * @throws {DataError} `media-aspect`; `media-limits` when a part contradicts itself.
 * Source: fetch_video of qwen-vl-utils 0.0.14.
 */
export function askedVideoSize(
  size: Size,
  frames: number,
  part: VideoPart,
  { asked, cell }: Preprocessing,
  { video: run = {} }: SizeOptions,
): Size {
  const fixed = fixedSize(part, cell);
  if (fixed !== undefined) return fixed;
  return videoFrameSize(size, frames, {
    factor: cell,
    minPixels: run.minPixels ?? part.min_pixels ?? asked.video.minPixels,
    maxPixels: run.maxPixels ?? part.max_pixels ?? asked.video.maxPixels,
    totalPixels: run.totalPixels ?? part.total_pixels ?? asked.video.totalPixels,
  });
}

/**
 * Returns the size to which a picture of a list is brought before it is treated as a frame of a
 * video.
 *
 * The utilities give the side of a cell where that of a patch is meant, so these sides are multiples
 * of two cells, and the limits that they assume are four times those of images.
 *
 * Source: fetch_video of qwen-vl-utils 0.0.14, the branch for lists.
 */
export function listedPictureSize(size: Size, part: VideoPart, cell: number): Size {
  const factor = 2 * cell;
  const fixed = fixedSize(part, factor);
  if (fixed !== undefined) return fixed;
  const { min_pixels: minPixels = 4 * factor ** 2, max_pixels: maxPixels = 16384 * factor ** 2 } =
    part;
  return smartResize(size, { factor, minPixels, maxPixels, lift: true });
}

/**
 * Returns the size into which the official processor brings what was resized to a size: the same
 * where that is within its limits.
 *
 * Source: transformers 4.57.6, Qwen2VLImageProcessor and Qwen2VLVideoProcessor.
 */
function processorSize(
  size: Size,
  limits: PixelLimits,
  run: Partial<PixelLimits>,
  factor: number,
): Size {
  const maxPixels = run.maxPixels ?? limits.maxPixels;
  const minPixels = run.minPixels ?? Math.min(limits.minPixels, maxPixels);
  return smartResize(size, { factor, minPixels, maxPixels });
}

/**
 * Returns the sizes to which an image is brought one after the other: the one that is asked for,
 * then the processor's where that differs.
 *
 * @param sized true for a picture that has the size that is asked for already.
 * @throws {DataError} as {@link askedImageSize}.
 */
export function imageSizes(
  picture: Size,
  sized: boolean,
  part: ImagePart,
  config: Preprocessing,
  options: SizeOptions,
): Size[] {
  const asked = sized ? sizeOf(picture) : askedImageSize(picture, part, config, options);
  return distinct(asked, processorSize(asked, config.image, options.image ?? {}, config.cell));
}

/**
 * Returns the sizes to which the frames of a video are brought one after the other, as {@link
 * imageSizes}.
 *
 * @throws {DataError} as {@link askedVideoSize}.
 */
export function videoSizes(
  frame: Size,
  frames: number,
  sized: boolean,
  part: VideoPart,
  config: Preprocessing,
  options: SizeOptions,
): Size[] {
  const asked = sized ? sizeOf(frame) : askedVideoSize(frame, frames, part, config, options);
  return distinct(asked, processorSize(asked, config.video, options.video ?? {}, config.cell));
}

function sizeOf({ width, height }: Size): Size {
  return { width, height };
}

function distinct(a: Size, b: Size): Size[] {
  return a.width === b.width && a.height === b.height ? [a] : [a, b];
}

/** Returns the sides that a part states, brought to multiples of a factor. */
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

/** The limits of a picture in pixels, both inclusive, and the number its sides are multiples of. */
export interface SmartResizeOptions extends PixelLimits {
  /** Pixels along the side of a cell: patch size times merge size. */
  factor: number;
  /** A side is at least one factor before the limits are looked at: qwen-vl-utils. Default false. */
  lift?: boolean;
}

/** The sharpest ratio of the sides that the Qwen processors take. */
const MAX_ASPECT = 200;

/**
 * Returns the size at which a picture is fed to the vision tower: near its own, multiples of
 * `factor`, within the limits, nearly its own aspect.
 *
 * Rounds halves to even, as Python does. A side of half a factor or less becomes one only where the
 * picture is shrunk to `maxPixels` (transformers' form), or anyway with `lift` (qwen-vl-utils).
 *
 * @throws {DataError} `media-aspect` when one side is more than 200 times the other.
 * Source: smart_resize of transformers 4.57.6, models/qwen2_vl/image_processing_qwen2_vl.py.
 */
export function smartResize(size: Size, options: SmartResizeOptions): Size {
  const { factor, minPixels, maxPixels, lift = false } = options;
  const least = lift ? factor : 0;
  const { width, height } = size;
  if (Math.max(width, height) / Math.min(width, height) > MAX_ASPECT) {
    throw new DataError(
      "media-aspect",
      `A picture of ${width} x ${height} is too narrow: one side is over ${MAX_ASPECT} times the other.`,
      { hint: "Crop it, or leave the row out." },
    );
  }
  const nearH = Math.max(least, roundHalfEven(height / factor) * factor);
  const nearW = Math.max(least, roundHalfEven(width / factor) * factor);
  if (nearH * nearW > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    return {
      height: Math.max(factor, Math.floor(height / shrink / factor) * factor),
      width: Math.max(factor, Math.floor(width / shrink / factor) * factor),
    };
  }
  if (nearH * nearW < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width));
    return {
      height: Math.ceil((height * grow) / factor) * factor,
      width: Math.ceil((width * grow) / factor) * factor,
    };
  }
  return { height: nearH, width: nearW };
}

/** Maximum of the cells of a video's frame in qwen-omni-utils and qwen-vl-utils. */
const FRAME_CELLS = 768;

/**
 * Returns the frame size of a video of `frames` chosen frames.
 *
 * @param limits `maxPixels` of a frame can only lower what `totalPixels` of the whole clip allows.
 * @throws {DataError} `media-aspect`.
 * Source: fetch_video of qwen-omni-utils/v2_5/vision_process.py, QwenLM/Qwen2.5-Omni f8bf58c; of
 * qwen-vl-utils 0.0.14 for cells of other sizes.
 */
export function videoFrameSize(
  size: Size,
  frames: number,
  limits: PixelLimits & { factor: number; totalPixels: number },
): Size {
  const { factor, minPixels, totalPixels } = limits;
  const share = Math.min(FRAME_CELLS * factor ** 2, (totalPixels / frames) * 2);
  const allowed = Math.max(share, Math.trunc(minPixels * 1.05));
  const maxPixels = Math.min(limits.maxPixels, allowed);
  return smartResize(size, { factor, minPixels, maxPixels, lift: true });
}
