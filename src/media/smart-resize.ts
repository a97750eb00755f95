import { DataError } from "../core/errors.ts";
import { roundHalfEven } from "./rounding.ts";

/** The limits of a picture in pixels, both inclusive, and the number its sides are multiples of. */
export interface SmartResizeOptions {
  /** Patch size times merge size. Default 28. */
  factor?: number;
  /** Default 3136, four tokens. */
  minPixels?: number;
  /** Default 12845056, 16384 tokens. */
  maxPixels?: number;
  /** A side is at least one factor before the limits are looked at: qwen-vl-utils. Default false. */
  lift?: boolean;
}

/** The sharpest ratio of the sides that the Qwen processors take. */
const MAX_ASPECT = 200;

/**
 * The size at which a picture is fed to the vision tower: near its own, multiples of `factor`,
 * within the limits, nearly its own aspect.
 *
 * Rounds halves to even, as Python does. A side of 14 or less becomes one factor only where the
 * picture is shrunk to `maxPixels` (transformers' form), or anyway with `lift` (qwen-vl-utils).
 *
 * @throws {DataError} `media-aspect` when one side is more than 200 times the other.
 * Source: smart_resize of transformers 4.57.6, models/qwen2_vl/image_processing_qwen2_vl.py.
 */
export function smartResize(
  size: { width: number; height: number },
  options: SmartResizeOptions = {},
): { width: number; height: number } {
  const { factor = 28, minPixels = 3136, maxPixels = 12845056, lift = false } = options;
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

/** The limits that qwen-omni-utils puts on the frames of a video. */
export interface VideoPixelOptions {
  /** Pixels per frame, default 100352 (128 tokens). */
  minPixels?: number;
  /** Pixels per frame; can only lower what the total allows. */
  maxPixels?: number;
  /** Pixels of the whole clip, default 90316800. */
  totalPixels?: number;
}

/**
 * The frame size of a video of `numFrames` chosen frames.
 *
 * Source: fetch_video of qwen-omni-utils/v2_5/vision_process.py, QwenLM/Qwen2.5-Omni f8bf58c.
 */
export function videoFrameSize(
  size: { width: number; height: number },
  numFrames: number,
  options: VideoPixelOptions = {},
): { width: number; height: number } {
  const { minPixels = 100352, totalPixels = 90316800 } = options;
  const share = Math.min(602112, (totalPixels / numFrames) * 2);
  const allowed = Math.max(share, Math.trunc(minPixels * 1.05));
  const maxPixels = Math.min(options.maxPixels ?? allowed, allowed);
  return smartResize(size, { minPixels, maxPixels, lift: true });
}
