/* A small PNG reader: 8-bit grey, RGB, palette and RGBA, not interlaced. Source: W3C PNG, 3rd ed. */
import { DataError } from "../core/errors.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Channels of the colour types 0 (grey), 2 (RGB), 3 (palette), 4 (grey + alpha), 6 (RGBA). */
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** What the chunks of a PNG hold. */
interface PngParts {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  interlaced: boolean;
  palette: Uint8Array | null;
  data: Uint8Array<ArrayBuffer>;
}

/**
 * Decodes a PNG to RGB. Alpha is composited on white, as qwen-omni-utils does; a palette's
 * transparency is ignored.
 *
 * @param file - The name for messages.
 * @throws {DataError} `media-corrupt` when the bytes are no PNG or are damaged,
 *   `media-pixel-format` for 1, 2, 4 or 16 bits per channel and for interlaced pictures.
 */
export async function decodePng(
  bytes: Uint8Array,
  file: string,
): Promise<{ width: number; height: number; rgb: Uint8Array }> {
  const png = readChunks(bytes, file);
  const channels = CHANNELS[png.colourType];
  if (png.depth !== 8 || png.interlaced || channels === undefined) {
    throw new DataError(
      "media-pixel-format",
      `${file} is a PNG with ${png.depth} bits per channel${png.interlaced ? ", interlaced" : ""}.`,
      { hint: "Save it as plain 8-bit RGB." },
    );
  }
  const rowBytes = png.width * channels;
  const raw = await inflate(png.data, file);
  if (raw.length !== png.height * (rowBytes + 1))
    throw damaged(file, "its picture data is cut off");
  const pixels = unfilter(raw, png.height, rowBytes, channels, file);
  return { width: png.width, height: png.height, rgb: toRgb(pixels, png, file) };
}

function readChunks(bytes: Uint8Array, file: string): PngParts {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw damaged(file, "it is not a PNG");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let header: Uint8Array | null = null;
  let palette: Uint8Array | null = null;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (body.length < length) throw damaged(file, "it ends in the middle");
    if (type === "IHDR") header = body;
    else if (type === "PLTE") palette = body;
    else if (type === "IDAT") parts.push(body);
    at += 12 + length;
  }
  if (!header || header.length < 13 || parts.length === 0) throw damaged(file, "it has no picture");
  const size = new DataView(header.buffer, header.byteOffset);
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return {
    width: size.getUint32(0),
    height: size.getUint32(4),
    depth: header[8]!,
    colourType: header[9]!,
    interlaced: header[12] !== 0,
    palette,
    data,
  };
}

async function inflate(data: Uint8Array<ArrayBuffer>, file: string): Promise<Uint8Array> {
  try {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw damaged(file, "its picture data does not decompress", cause);
  }
}

/** Undoes the five row filters in place of the reader; `bpp` is the distance to the left pixel. */
function unfilter(raw: Uint8Array, height: number, rowBytes: number, bpp: number, file: string) {
  const out = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    const from = y * (rowBytes + 1) + 1;
    const to = y * rowBytes;
    const filter = raw[from - 1]!;
    if (filter > 4) throw damaged(file, `row ${y} has the unknown filter ${filter}`);
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= bpp ? out[to + x - bpp]! : 0;
      const above = y > 0 ? out[to + x - rowBytes]! : 0;
      const corner = x >= bpp && y > 0 ? out[to + x - rowBytes - bpp]! : 0;
      out[to + x] = raw[from + x]! + predict(filter, left, above, corner);
    }
  }
  return out;
}

function predict(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function toRgb(pixels: Uint8Array, png: PngParts, file: string): Uint8Array {
  const { colourType, palette } = png;
  if (colourType === 2) return pixels;
  const channels = CHANNELS[colourType]!;
  const count = png.width * png.height;
  const rgb = new Uint8Array(count * 3);
  if (colourType === 3 && !palette) throw damaged(file, "its palette is missing");
  for (let i = 0; i < count; i++) {
    const at = i * channels;
    const alpha = colourType === 4 ? pixels[at + 1]! : colourType === 6 ? pixels[at + 3]! : 255;
    for (let c = 0; c < 3; c++) {
      const value =
        colourType === 3
          ? palette![pixels[at]! * 3 + c]!
          : pixels[at + (colourType === 6 ? c : 0)]!;
      rgb[i * 3 + c] = Math.floor((value * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
  return rgb;
}

function damaged(file: string, why: string, cause?: unknown): DataError {
  return new DataError("media-corrupt", `${file} cannot be decoded: ${why}.`, {
    hint: "The file is damaged or incomplete; write it again or leave the row out.",
    cause,
  });
}
