/*
 * From the pixels of picture files to RGB, with the arithmetic of Pillow: `to_rgb` of qwen-vl-utils
 * pastes RGBA on white and calls `convert("RGB")` on everything else.
 */

/** One decoded picture: interleaved RGB, rotation already applied. */
export interface Frame {
  width: number;
  height: number;
  /** [height, width, 3] u8, red first. */
  rgb: Uint8Array;
  /** Presentation time in seconds. */
  timestamp: number;
}

/** Picture formats that a platform's own decoder reads. */
export type PictureFormat = "jpeg" | "webp" | "gif" | "avif" | "tiff";

/** Decoded pixels of a picture file, interleaved, 8 bits each. */
export interface Pixels {
  width: number;
  height: number;
  /** `cmyk` counts ink: 0 is none. */
  model: "rgb" | "rgba" | "cmyk";
  /** [height, width, letters of the model] u8. */
  data: Uint8Array;
}

/**
 * Returns an 8-bit value with an 8-bit opacity on white, rounded to nearest as Pillow's `paste`
 * does.
 */
export function onWhite(value: number, alpha: number): number {
  return divideBy255(value * alpha + 255 * (255 - alpha));
}

/** Converts pixels to interleaved RGB: alpha is composited on white, ink taken from white. */
export function pixelsToRgb({ width, height, model, data }: Pixels): Uint8Array {
  if (model === "rgb") return data;
  const count = width * height;
  const rgb = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    const last = data[i * 4 + 3]!;
    for (let c = 0; c < 3; c++) {
      const value = data[i * 4 + c]!;
      // Without black ink 255 - last is left of white, and each ink takes its share of that.
      rgb[i * 3 + c] =
        model === "rgba" ? onWhite(value, last) : 255 - last - divideBy255(value * (255 - last));
    }
  }
  return rgb;
}

/** Nearest integer to value / 255; never a tie, as 255 is odd. */
function divideBy255(value: number): number {
  return Math.floor((value + 127) / 255);
}
