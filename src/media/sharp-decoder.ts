/*
 * Picture files in Node, by way of sharp (libvips, an optional dependency). Its decoders are those
 * of Pillow (libjpeg-turbo's code, libwebp, libtiff): equal in every byte. Profiles are ignored and
 * pictures are not turned, as in Pillow. AVIF is read by libheif, which does not smooth colours that
 * are kept at half size: about 2 levels of 255 from Pillow's libavif.
 */
import { DataError } from "../core/errors.ts";
import { checkPictureSize, MAX_PICTURE_PIXELS } from "./limits.ts";
import type { Pixels } from "../signal/frame.ts";

/**
 * Decodes the first picture of a JPEG, WebP, GIF, AVIF or TIFF.
 *
 * @throws {DataError} `media-decoder-missing` when sharp is not installed, `media-too-large`,
 *   `media-pixel-format` for 16 bits of grey and for numbers that are not whole.
 * @throws {Error} of sharp when the bytes are damaged: warnings of its decoders count.
 */
export async function decodeWithSharp(bytes: Uint8Array, file: string): Promise<Pixels> {
  const { default: sharp } = await importSharp(file);
  const options = {
    ignoreIcc: true,
    failOn: "warning",
    limitInputPixels: MAX_PICTURE_PIXELS,
  } as const;
  const { space, width, height, depth } = await sharp(bytes, {
    ...options,
    limitInputPixels: false,
  }).metadata();
  checkPictureSize(width, height, file);
  if (space === "grey16" || (depth !== "uchar" && depth !== "ushort")) {
    const what = space === "grey16" ? "16 bits of grey" : `numbers of type ${depth}`;
    throw new DataError("media-pixel-format", `${file} is a picture with ${what}.`, {
      hint: "Save it with 8 bits a channel, with the brightness that is meant.",
    });
  }
  const pipeline = sharp(bytes, options);
  const { data, info } =
    space === "cmyk"
      ? await rawOf(pipeline.pipelineColourspace("cmyk").toColourspace("cmyk"))
      : await rawOf(pipeline.toColourspace("srgb"));
  const model = space === "cmyk" ? "cmyk" : info.channels === 4 ? "rgba" : "rgb";
  if (data.length !== info.width * info.height * model.length) {
    throw new Error(`its ${info.channels} channels of ${space} are not understood`);
  }
  return { width: info.width, height: info.height, model, data };
}

function rawOf(pipeline: import("sharp").Sharp) {
  return pipeline.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
}

async function importSharp(file: string): Promise<typeof import("sharp")> {
  try {
    return await import("sharp");
  } catch (cause) {
    throw new DataError(
      "media-decoder-missing",
      `${file}: decoding JPEG, WebP, GIF, AVIF and TIFF in Node needs the package sharp, which is not here.`,
      { hint: "Run: npm install sharp (or save the picture as PNG).", cause },
    );
  }
}
