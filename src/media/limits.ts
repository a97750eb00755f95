import { DataError } from "../core/errors.ts";

/**
 * The most pixels that a picture may have: Pillow, the reader behind the reference preparation, calls
 * more a decompression bomb.
 *
 * Source: twice MAX_IMAGE_PIXELS of Pillow 13, int(1024 * 1024 * 1024 // 4 // 3).
 */
export const MAX_PICTURE_PIXELS = 2 * 89_478_485;

/** The most bytes of a file that is read as a whole: pictures, and the sound of a folder. */
export const MAX_WHOLE_BYTES = 2 ** 30;

/**
 * Checks the size that a picture states, before there is memory for its pixels.
 *
 * @throws {DataError} `media-too-large`.
 */
export function checkPictureSize(width: number, height: number, file: string): void {
  if (width * height <= MAX_PICTURE_PIXELS) return;
  throw new DataError(
    "media-too-large",
    `${file} states ${width} x ${height} pixels; at most ${MAX_PICTURE_PIXELS} are read.`,
    { hint: "Save the picture smaller, or leave it out: models see far fewer pixels." },
  );
}

/**
 * Checks the length of a file that is read as a whole.
 *
 * @throws {DataError} `media-too-large`.
 */
export function checkPictureBytes(bytes: number, file: string): void {
  if (bytes <= MAX_WHOLE_BYTES) return;
  throw new DataError(
    "media-too-large",
    `${file} has ${bytes} bytes or more; pictures of at most ${MAX_WHOLE_BYTES} are read.`,
    { hint: "Save the picture smaller, or leave it out." },
  );
}
