/*
 * From a picture file to RGB, as qwen-vl-utils does with Pillow: not turned as Exif asks, colour
 * profiles ignored, RGBA composited on white, the first picture of an animation.
 *
 * PNG and BMP are read by png.ts and bmp.ts everywhere; JPEG, WebP, GIF and AVIF by sharp in Node
 * and by the browser in a page, TIFF by sharp only. Two differences remain: transparent pixels of a
 * GIF become white, where Pillow shows the colour that the palette has at their index; and an AVIF
 * is turned as it asks.
 */
import { decodePicture, mediaBytes } from "#media";
import { AubadeError, DataError } from "../core/errors.ts";
import { type Frame, type PictureFormat, pixelsToRgb } from "../signal/frame.ts";
import { decodeBmp } from "./bmp.ts";
import { decodePng } from "./png.ts";
import { type DecodeOptions, type MediaSource, sourceName } from "./types.ts";
import { watch } from "./watchdog.ts";

/**
 * Decodes a picture file at time 0.
 *
 * Numerics: equal to Pillow in every byte for PNG, BMP, TIFF, JPEG, WebP and opaque GIF (measured
 * with sharp 0.35 and Chromium against Pillow 13); a CMYK JPEG in Chromium within one level; AVIF
 * within one level where its colours are kept whole, else about 2 levels off (sharp).
 *
 * @throws {DataError} `media-missing`, `media-unreadable` (another format), `media-corrupt`,
 *   `media-pixel-format` (16-bit grey, BMP in run lengths), `media-decoder-missing`, `media-stalled`.
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

async function decodeOther(bytes: Uint8Array, format: PictureFormat | "bmp", file: string) {
  try {
    const pixels =
      format === "bmp" ? decodeBmp(bytes, file) : await decodePicture(bytes, format, file);
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

/** Little and big numbers, in files of up to 4 GB and above. */
const TIFF = ["II*\0", "MM\0*", "II+\0", "MM\0+"];

/** Tells formats by their first bytes; names of files lie. */
function formatOf(bytes: Uint8Array, file: string): PictureFormat | "png" | "bmp" {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("\x89PNG")) return "png";
  if (head.startsWith("GIF8")) return "gif";
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return "webp";
  if (head.startsWith("BM")) return "bmp";
  if (TIFF.some((start) => head.startsWith(start))) return "tiff";
  if (/^....ftypavi[fs]/s.test(head)) return "avif";
  const what = bytes.length === 0 ? "is empty" : "is no JPEG, PNG, WebP, GIF, AVIF, BMP or TIFF";
  throw new DataError("media-unreadable", `${file} ${what}.`, {
    hint: "Convert the picture to PNG, or fetch it again.",
  });
}
