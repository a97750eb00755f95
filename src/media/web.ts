/* The media platform in a browser: URLs and blobs; WebCodecs decodes. */
import { BlobSource, BufferSource, type Source } from "mediabunny";
import { DataError } from "../core/errors.ts";
import { dataAddressBytes, isDataAddress } from "./data-address.ts";
import type { ForeignMedium } from "./foreign.ts";
import type { MediaFolder } from "./frame-folder.ts";
import { withoutExif } from "./jpeg.ts";
import type { PictureFormat, Pixels } from "../signal/frame.ts";
import type { MediaSource } from "./types.ts";
import { fetchBytes, mediaUrlSource } from "./url-source.ts";

/** Opens the bytes of a medium. A string is a URL, relative to the page. */
export function openSource(source: MediaSource): Promise<Source> {
  if (typeof source === "string") {
    const local = isDataAddress(source);
    return Promise.resolve(
      local ? new BufferSource(dataAddressBytes(source)) : mediaUrlSource(source),
    );
  }
  return Promise.resolve(
    source.data instanceof Uint8Array ? new BufferSource(source.data) : new BlobSource(source.data),
  );
}

/**
 * Returns all bytes of a medium. A string is a URL, relative to the page.
 *
 * @throws {DataError} `media-missing`, `media-unreadable`.
 */
export async function mediaBytes(source: MediaSource): Promise<Uint8Array> {
  if (typeof source === "string") {
    return isDataAddress(source) ? dataAddressBytes(source) : fetchBytes(source);
  }
  const { data } = source;
  return data instanceof Uint8Array ? data : new Uint8Array(await data.arrayBuffer());
}

/**
 * Decodes a picture file, its alpha already composited on white.
 *
 * Profiles are ignored. A canvas holds premultiplied bytes, so drawing on white is what keeps
 * translucent pixels exact (measured in Chromium; reading alpha back would not).
 *
 * @throws {DataError} `media-unreadable` for TIFF.
 * @throws {DOMException} when the bytes are damaged.
 */
export async function decodePicture(
  bytes: Uint8Array,
  format: PictureFormat,
  file: string,
): Promise<Pixels> {
  if (format === "tiff") {
    throw new DataError("media-unreadable", `${file} is a TIFF, which is read in Node only.`, {
      hint: "Convert the picture to PNG.",
    });
  }
  const upright = format === "jpeg" ? withoutExif(bytes) : new Uint8Array(bytes);
  const bitmap = await createImageBitmap(new Blob([upright], { type: `image/${format}` }), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`no canvas of ${width} x ${height} can be made`);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from]!;
    data[to++] = rgba[from + 1]!;
    data[to++] = rgba[from + 2]!;
  }
  return { width, height, model: "rgb", data };
}

/** Returns null: a page has no folders. */
export function openFolder(_source: MediaSource): Promise<MediaFolder | null> {
  return Promise.resolve(null);
}

/** WebCodecs needs no preparation. */
export function prepareDecoders(): Promise<void> {
  return Promise.resolve();
}

/** Returns null: a page has WebCodecs only. */
export function openForeign(_source: MediaSource): Promise<ForeignMedium | null> {
  return Promise.resolve(null);
}
