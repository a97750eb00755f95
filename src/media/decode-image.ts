/*
 * From a picture file to RGB, as qwen-vl-utils does with Pillow: not turned as Exif asks, colour
 * profiles ignored, RGBA composited on white, the first picture of an animation.
 *
 * PNG is read by png.ts everywhere; JPEG, WebP and GIF by sharp in Node and by the browser in a
 * page. One difference remains: transparent pixels of a GIF become white, where Pillow shows the
 * colour that the palette has at their index.
 */
import { decodePicture, mediaBytes } from "#media";
import { AubadeError, DataError } from "../core/errors.ts";
import { type Frame, type PictureFormat, pixelsToRgb } from "../signal/frame.ts";
import { decodePng } from "./png.ts";
import { type DecodeOptions, type MediaSource, sourceName } from "./types.ts";
import { watch } from "./watchdog.ts";

/**
 * Decodes a picture file at time 0.
 *
 * Numerics: equal to Pillow in every byte for PNG, JPEG, WebP and opaque GIF (measured with sharp
 * 0.35 and Chromium against Pillow 13); a CMYK JPEG in Chromium within one level.
 *
 * @throws {DataError} `media-missing`, `media-unreadable` (another format), `media-corrupt`,
 *   `media-pixel-format` (16-bit grey), `media-decoder-missing`, `media-stalled`.
 */
export async function decodeImage(
  source: MediaSource,
  options: DecodeOptions = {},
): Promise<Frame> {
  const file = sourceName(source);
  const bytes = await watch(mediaBytes(source), { file, what: "reading it", ...options });
  const format = formatOf(bytes, file);
  const decoding = format === "png" ? decodePng(bytes, file) : decodeOther(bytes, format, file);
  const picture = await watch(decoding, { file, what: "decoding it", ...options });
  return { ...picture, timestamp: 0 };
}

async function decodeOther(bytes: Uint8Array, format: PictureFormat, file: string) {
  try {
    const pixels = await decodePicture(bytes, format, file);
    return { width: pixels.width, height: pixels.height, rgb: pixelsToRgb(pixels) };
  } catch (cause) {
    if (cause instanceof AubadeError) throw cause;
    const why = cause instanceof Error ? cause.message.trim().replace(/\.$/, "") : String(cause);
    throw new DataError("media-corrupt", `${file} cannot be decoded: ${why}.`, {
      hint: "The picture is damaged or incomplete; fetch it again or leave the row out.",
      cause,
    });
  }
}

/** Tells formats by their first bytes; names of files lie. */
function formatOf(bytes: Uint8Array, file: string): PictureFormat | "png" {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("\x89PNG")) return "png";
  if (head.startsWith("GIF8")) return "gif";
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return "webp";
  const what = bytes.length === 0 ? "is empty" : "is no JPEG, PNG, WebP or GIF";
  throw new DataError("media-unreadable", `${file} ${what}.`, {
    hint: "Convert the picture to PNG, or fetch it again.",
  });
}
