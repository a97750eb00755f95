/*
 * BMP pictures, everywhere: no package that reads them is in use, and a page's own reader is not
 * Pillow's. What Pillow reads of them but for pictures in run lengths: 1, 4, 8 bits with a palette,
 * 16, 24 and 32 bits, from below or from above. Fields of 16 bits are widened as in Pillow; alpha
 * counts only where the header gives it a field.
 */
import { DataError } from "../core/errors.ts";
import type { Pixels } from "../signal/frame.ts";
import { checkPictureSize } from "./limits.ts";

const FILE_HEADER = 14;
/** The length of the header of OS/2, with sizes of 16 bits and palettes of three bytes. */
const OS2_HEADER = 12;
const RLE = [1, 2];
const BITFIELDS = [3, 6];

/** The places of the channels' bytes in a pixel of 24 or 32 bits, from the lowest. */
interface Layout {
  bits: number;
  /** Masks of red, green, blue and alpha; 0 for no alpha. */
  masks: number[];
}

/**
 * Decodes a BMP.
 *
 * @throws {DataError} `media-corrupt`, `media-pixel-format`, `media-too-large`.
 * Source: BmpImagePlugin and Unpack.c of Pillow 13.
 */
export function decodeBmp(bytes: Uint8Array, file: string): Pixels {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const broken = (what: string) =>
    new DataError("media-corrupt", `${file} cannot be decoded: ${what}.`, {
      hint: "The picture is damaged or incomplete; fetch it again or leave the row out.",
    });
  if (bytes.length < FILE_HEADER + 4) throw broken("its header is cut off");
  const start = view.getUint32(10, true);
  const headerBytes = view.getUint32(FILE_HEADER, true);
  const os2 = headerBytes === OS2_HEADER;
  if ((!os2 && headerBytes < 40) || FILE_HEADER + headerBytes > bytes.length) {
    throw broken(`its header states ${headerBytes} bytes`);
  }
  const width = os2 ? view.getUint16(18, true) : view.getInt32(18, true);
  const tall = os2 ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(os2 ? 24 : 28, true);
  const compression = os2 ? 0 : view.getUint32(30, true);
  const height = Math.abs(tall);
  if (width < 1 || height < 1) throw broken(`it states ${width} x ${tall} pixels`);
  checkPictureSize(width, height, file);
  const layout = { bits, masks: masksOf(view, bits, compression) };
  if (layout.masks === null) throw unknown(file, bits, compression);
  const stride = Math.ceil((width * bits) / 32) * 4;
  // The last row may lack its padding.
  const needed = stride * (height - 1) + Math.ceil((width * bits) / 8);
  if (start + needed > bytes.length) {
    throw broken(`it states ${width} x ${height} pixels, but is cut off`);
  }
  const rowOf = (y: number) => start + stride * (tall > 0 ? height - 1 - y : y);
  if (bits > 8) return fromMasks(view, { width, height }, layout as Layout, rowOf);
  const palette = readPalette(bytes, FILE_HEADER + headerBytes, start, os2 ? 3 : 4, bits);
  return fromPalette(bytes, { width, height }, bits, palette, rowOf);
}

function unknown(file: string, bits: number, compression: number): DataError {
  const how = RLE.includes(compression)
    ? "in run lengths"
    : `with ${bits} bits a pixel in compression ${compression}`;
  return new DataError("media-pixel-format", `${file} is a BMP ${how}, which is not read here.`, {
    hint: "Save the picture as PNG.",
  });
}

/**
 * Returns the masks of red, green, blue and alpha; empty for a palette, null for what is not read.
 */
function masksOf(view: DataView, bits: number, compression: number): number[] | null {
  if ([1, 4, 8].includes(bits)) return compression === 0 ? [] : null;
  if (compression === 0) {
    if (bits === 16) return [0x7c00, 0x3e0, 0x1f, 0];
    return bits === 24 || bits === 32 ? [0xff0000, 0xff00, 0xff, 0] : null;
  }
  if (!BITFIELDS.includes(compression) || ![16, 24, 32].includes(bits)) return null;
  const at = FILE_HEADER + 40;
  const hasAlpha = view.getUint32(FILE_HEADER, true) >= 56;
  if (view.byteLength < at + (hasAlpha ? 16 : 12)) return null;
  const masks = [0, 4, 8].map((offset) => view.getUint32(at + offset, true));
  const alpha = hasAlpha && bits === 32 ? view.getUint32(at + 12, true) : 0;
  const whole = [...masks, ...(alpha ? [alpha] : [])].every((mask) => isField(mask, bits));
  return whole ? [...masks, alpha] : null;
}

/** Tells whether a mask is a field of 5 or 6 bits in 16, or of a whole byte in 24 or 32. */
function isField(mask: number, bits: number): boolean {
  const low = 31 - Math.clz32(mask & -mask);
  const most = mask === 0 ? 0 : mask / 2 ** low;
  return bits === 16 ? most === 31 || most === 63 : most === 255 && low % 8 === 0;
}

interface Size {
  width: number;
  height: number;
}

function fromMasks(
  view: DataView,
  { width, height }: Size,
  { bits, masks }: Layout,
  rowOf: (y: number) => number,
): Pixels {
  const channels = masks[3] === 0 ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  const fields = masks.slice(0, channels).map((mask) => {
    const low = 31 - Math.clz32(mask & -mask);
    return { low, most: mask / 2 ** low };
  });
  const step = bits / 8;
  let to = 0;
  for (let y = 0; y < height; y++) {
    let at = rowOf(y);
    for (let x = 0; x < width; x++, at += step) {
      let value = view.getUint8(at) | (view.getUint8(at + 1) << 8);
      if (bits > 16) value |= view.getUint8(at + 2) << 16;
      if (bits > 24) value |= view.getUint8(at + 3) << 24;
      for (const { low, most } of fields) {
        data[to++] = Math.floor((((value >>> low) & most) * 255) / most);
      }
    }
  }
  return { width, height, model: channels === 4 ? "rgba" : "rgb", data };
}

/** Red, green and blue of every index; black where the palette ends before. */
function readPalette(
  bytes: Uint8Array,
  from: number,
  end: number,
  entry: number,
  bits: number,
): Uint8Array {
  const palette = new Uint8Array(3 * 2 ** bits);
  for (let i = 0; i < 2 ** bits && from + (i + 1) * entry <= end; i++) {
    const at = from + i * entry;
    palette.set([bytes[at + 2]!, bytes[at + 1]!, bytes[at]!], i * 3);
  }
  return palette;
}

function fromPalette(
  bytes: Uint8Array,
  { width, height }: Size,
  bits: number,
  palette: Uint8Array,
  rowOf: (y: number) => number,
): Pixels {
  const data = new Uint8Array(width * height * 3);
  const perByte = 8 / bits;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = rowOf(y);
    for (let x = 0; x < width; x++, to += 3) {
      const shift = 8 - bits * ((x % perByte) + 1);
      const index = (bytes[row + Math.floor(x / perByte)]! >> shift) & (2 ** bits - 1);
      data.set(palette.subarray(index * 3, index * 3 + 3), to);
    }
  }
  return { width, height, model: "rgb", data };
}
