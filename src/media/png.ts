/*
 * A PNG reader: all colour types and depths but 16-bit grey, interlaced or not. Alpha follows
 * `to_rgb` of qwen-vl-utils on Pillow's modes: RGBA is composited on white; 8-bit grey with alpha,
 * palettes and a transparent colour lose their alpha. 16 bits keep their upper byte, as in Pillow.
 * Source: W3C PNG, 3rd edition.
 */
import { DataError } from "../core/errors.ts";
import { checkPictureSize } from "./limits.ts";
import { onWhite } from "../signal/frame.ts";
import { beat } from "../core/progress.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const GREY = 0;
const PALETTE = 3;
const GREY_ALPHA = 4;
const RGBA = 6;
/** Channels and bits per channel of each colour type (2 is RGB). */
const COLOUR_TYPES: Record<number, { channels: number; depths: number[] }> = {
  [GREY]: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  [PALETTE]: { channels: 1, depths: [1, 2, 4, 8] },
  [GREY_ALPHA]: { channels: 2, depths: [8, 16] },
  [RGBA]: { channels: 4, depths: [8, 16] },
};

/** Rows between two signs of life. */
const ROWS_PER_BEAT = 256;

/** Pixels of one pass: every dx-th from x0 in every dy-th row from y0. */
interface Pass {
  x0: number;
  y0: number;
  dx: number;
  dy: number;
}

const WHOLE: Pass[] = [{ x0: 0, y0: 0, dx: 1, dy: 1 }];
const ADAM7: Pass[] = [
  { x0: 0, y0: 0, dx: 8, dy: 8 },
  { x0: 4, y0: 0, dx: 8, dy: 8 },
  { x0: 0, y0: 4, dx: 4, dy: 8 },
  { x0: 2, y0: 0, dx: 4, dy: 4 },
  { x0: 0, y0: 2, dx: 2, dy: 4 },
  { x0: 1, y0: 0, dx: 2, dy: 2 },
  { x0: 0, y0: 1, dx: 1, dy: 2 },
];

/** The contents of a PNG's chunks. */
interface PngParts {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  channels: number;
  interlaced: boolean;
  palette: Uint8Array | null;
  data: Uint8Array<ArrayBuffer>;
}

/**
 * Decodes a PNG to RGB.
 *
 * @param file - The name for messages.
 * @throws {DataError} `media-corrupt` when the bytes are no PNG or are damaged,
 *   `media-pixel-format` for 16-bit grey, which Pillow would turn white, `media-too-large`.
 */
export async function decodePng(
  bytes: Uint8Array,
  file: string,
): Promise<{ width: number; height: number; rgb: Uint8Array }> {
  const png = readChunks(bytes, file);
  if (png.colourType === GREY && png.depth === 16) {
    throw new DataError("media-pixel-format", `${file} is a PNG with 16 bits of grey.`, {
      hint: "Save it with 8 bits: the reference preparation clips such values instead of scaling.",
    });
  }
  const { width, height } = png;
  checkPictureSize(width, height, file);
  const passes = passesOf(png);
  const raw = await inflate(
    png.data,
    passes.reduce((sum, pass) => sum + pass.bytes, 0),
    file,
  );
  return { width, height, rgb: toRgb(readSamples(raw, passes, png, file), png, file) };
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
    if (at + 12 + length > bytes.length) throw damaged(file, "it ends in the middle");
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      throw damaged(file, `the checksum of its chunk ${type} is wrong`);
    }
    if (type === "IHDR") header = body;
    else if (type === "PLTE") palette = body;
    else if (type === "IDAT") parts.push(body);
    at += 12 + length;
  }
  if (!header || header.length < 13 || parts.length === 0) throw damaged(file, "it has no picture");
  const size = new DataView(header.buffer, header.byteOffset);
  const [depth, colourType] = [header[8]!, header[9]!];
  const type = COLOUR_TYPES[colourType];
  if (!type?.depths.includes(depth)) {
    throw damaged(file, `no PNG has ${depth} bits of colour type ${colourType}`);
  }
  return {
    width: size.getUint32(0),
    height: size.getUint32(4),
    depth,
    colourType,
    channels: type.channels,
    interlaced: header[12] !== 0,
    palette,
    data: joined(parts),
  };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

/** Inflates no more than the picture needs: a small file can hold a gigabyte of zeros. */
async function inflate(data: Uint8Array<ArrayBuffer>, needed: number, file: string) {
  const raw = new Uint8Array(needed);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  let at = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      beat();
      if (at + next.value.length > needed) throw wrongLength(file);
      raw.set(next.value, at);
      at += next.value.length;
    }
  } catch (cause) {
    reader.cancel().catch(() => {});
    if (cause instanceof DataError) throw cause;
    throw damaged(file, "its picture data does not decompress", cause);
  }
  if (at < needed) throw wrongLength(file);
  return raw;
}

function wrongLength(file: string): DataError {
  return damaged(file, "its picture data has the wrong length");
}

/** A pass of a picture of a certain size. */
interface SizedPass extends Pass {
  columns: number;
  rows: number;
  /** Bytes of one row without its filter. */
  rowBytes: number;
  /** Bytes of all rows with their filters. */
  bytes: number;
}

function passesOf({ width, height, depth, channels, interlaced }: PngParts): SizedPass[] {
  return (interlaced ? ADAM7 : WHOLE)
    .map((pass) => {
      const columns = Math.ceil((width - pass.x0) / pass.dx);
      const rows = Math.ceil((height - pass.y0) / pass.dy);
      const rowBytes = Math.ceil((columns * channels * depth) / 8);
      return { ...pass, columns, rows, rowBytes, bytes: rows * (rowBytes + 1) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** [height, width, channels] u8: the upper byte of 16 bits, the bare number of fewer than 8. */
function readSamples(raw: Uint8Array, passes: SizedPass[], png: PngParts, file: string) {
  const { width, height, depth, channels } = png;
  let at = 0;
  let samples: Uint8Array | undefined;
  for (const pass of passes) {
    const { rowBytes } = pass;
    const part = raw.subarray(at, (at += pass.bytes));
    const rows = unfilter(part, pass.rows, rowBytes, Math.max(1, (channels * depth) / 8), file);
    if (depth === 8 && !png.interlaced) return rows;
    samples ??= new Uint8Array(width * height * channels);
    for (let y = 0; y < pass.rows; y++) {
      for (let x = 0; x < pass.columns; x++) {
        const to = ((pass.y0 + y * pass.dy) * width + pass.x0 + x * pass.dx) * channels;
        for (let c = 0; c < channels; c++) {
          samples[to + c] = sampleAt(rows, y * rowBytes, x * channels + c, depth);
        }
      }
    }
  }
  if (!samples) throw damaged(file, "it has no pixels");
  return samples;
}

function sampleAt(rows: Uint8Array, start: number, index: number, depth: number): number {
  if (depth >= 8) return rows[start + (index * depth) / 8]!;
  const bit = index * depth;
  return (rows[start + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Undoes the five row filters; `bpp` is the distance to the left pixel in bytes. */
function unfilter(raw: Uint8Array, height: number, rowBytes: number, bpp: number, file: string) {
  const out = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    if (y % ROWS_PER_BEAT === 0) beat();
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

function toRgb(samples: Uint8Array, png: PngParts, file: string): Uint8Array {
  const { colourType, palette, channels, depth } = png;
  if (colourType === 2) return samples;
  if (colourType === PALETTE && !palette) throw damaged(file, "its palette is missing");
  const count = png.width * png.height;
  const rgb = new Uint8Array(count * 3);
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  // Pillow calls 16-bit grey with alpha RGBA, and 8-bit LA, whose alpha `convert("RGB")` drops.
  const translucent = colourType === RGBA || (colourType === GREY_ALPHA && depth === 16);
  for (let i = 0; i < count; i++) {
    const at = i * channels;
    for (let c = 0; c < 3; c++) {
      const value =
        colourType === PALETTE
          ? (palette![samples[at]! * 3 + c] ?? 0)
          : samples[colourType === RGBA ? at + c : at]! * scale;
      rgb[i * 3 + c] = translucent ? onWhite(value, samples[at + channels - 1]!) : value;
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
