/*
 * From the planes that a decoder gives to RGB, in integers, so that Node and a page agree on every
 * byte. The decoders' own RGB differs by up to 43 levels between libswscale and Chromium.
 *
 * Chroma is repeated over the pixels that share it (no interpolation), the choice of libswscale's
 * and libyuv's fast paths. Coefficients are rounded to 20 fractional bits, the sum is rounded half
 * up: at most one level from exact arithmetic, for any sample depth up to 12 bits.
 */
import { DataError } from "../core/errors.ts";

/** The colour tags that matter here. `null` stands for "not said": BT.601, limited range. */
export interface ColourTags {
  /** A WebCodecs matrix name: `bt709`, `bt470bg`, `smpte170m`, `bt2020-ncl`, `rgb`. */
  matrix: string | null;
  fullRange: boolean | null;
}

/** A picture in the decoder's own layout. */
export interface RawPicture {
  /** A WebCodecs pixel format: `I420`, `NV12`, `I422P10`, `RGBA`, ... */
  format: string;
  width: number;
  height: number;
  /** Each plane from its first visible row on, with the bytes from one row to the next. */
  planes: { data: Uint8Array; stride: number }[];
}

const FIXED_BITS = 20;
const FIXED_ONE = 1 << FIXED_BITS;
const FIXED_HALF = 1 << (FIXED_BITS - 1);

/** Red and blue weights of the luma of each matrix (ITU-R BT.601-7, BT.709-6, BT.2020-2). */
const LUMA_WEIGHTS: Record<string, { kr: number; kb: number }> = {
  bt470bg: { kr: 0.299, kb: 0.114 },
  smpte170m: { kr: 0.299, kb: 0.114 },
  bt709: { kr: 0.2126, kb: 0.0722 },
  "bt2020-ncl": { kr: 0.2627, kb: 0.0593 },
};
const UNSPECIFIED = { kr: 0.299, kb: 0.114 };

/** Channel offsets (red, green, blue) of the packed formats. */
const PACKED: Record<string, [number, number, number]> = {
  RGBA: [0, 1, 2],
  RGBX: [0, 1, 2],
  BGRA: [2, 1, 0],
  BGRX: [2, 1, 0],
};

/**
 * Converts one picture to interleaved RGB. Alpha is ignored.
 *
 * @throws {DataError} `media-pixel-format` when the layout is none of the WebCodecs formats.
 */
export function toRgb(picture: RawPicture, tags: ColourTags): Uint8Array {
  const packed = PACKED[picture.format];
  if (packed) return packedToRgb(picture, packed);
  const planar = /^I(420|422|444)A?(?:P(10|12))?$/.exec(picture.format);
  if (!planar && picture.format !== "NV12") {
    throw new DataError(
      "media-pixel-format",
      `The decoder gives pictures as ${picture.format}, which has no conversion to RGB.`,
      { hint: "Re-encode the clip as 8-bit 4:2:0." },
    );
  }
  const depth = Number(planar?.[2] ?? 8);
  const sampling = planar?.[1] ?? "420";
  const yuv: YuvPlanes = {
    width: picture.width,
    height: picture.height,
    y: plane(picture, 0, depth),
    u: plane(picture, 1, depth),
    v: plane(picture, planar ? 2 : 1, depth),
    chromaStep: planar ? 1 : 2,
    vOffset: planar ? 0 : 1,
    shiftX: sampling === "444" ? 0 : 1,
    shiftY: sampling === "420" ? 1 : 0,
  };
  if (tags.matrix === "rgb") return gbrToRgb(yuv, depth);
  return yuvToRgb(yuv, depth, tags);
}

interface Plane {
  samples: Uint8Array | Uint16Array;
  /** Samples from one row to the next. */
  stride: number;
}

interface YuvPlanes {
  width: number;
  height: number;
  y: Plane;
  u: Plane;
  v: Plane;
  /** Samples from one chroma value to the next: 2 where U and V alternate. */
  chromaStep: number;
  vOffset: number;
  /** Log2 of the chroma subsampling. */
  shiftX: number;
  shiftY: number;
}

function plane(picture: RawPicture, index: number, depth: number): Plane {
  const { data, stride } = picture.planes[index]!;
  if (depth === 8) return { samples: data, stride };
  const even = data.byteOffset % 2 === 0 ? data : data.slice();
  const samples = new Uint16Array(even.buffer, even.byteOffset, even.byteLength >> 1);
  return { samples, stride: stride >> 1 };
}

function yuvToRgb(yuv: YuvPlanes, depth: number, tags: ColourTags): Uint8Array {
  const { kr, kb } = LUMA_WEIGHTS[tags.matrix ?? ""] ?? UNSPECIFIED;
  const kg = 1 - kr - kb;
  const scale = 2 ** (depth - 8);
  const peak = 2 ** depth - 1;
  const lumaGain = tags.fullRange ? 255 / peak : 255 / (219 * scale);
  const chromaGain = tags.fullRange ? 255 / peak : 255 / (224 * scale);
  const black = tags.fullRange ? 0 : 16 * scale;
  const grey = 128 * scale;
  const cy = Math.round(lumaGain * FIXED_ONE);
  const rv = Math.round(2 * (1 - kr) * chromaGain * FIXED_ONE);
  const bu = Math.round(2 * (1 - kb) * chromaGain * FIXED_ONE);
  const gu = Math.round(((2 * kb * (1 - kb)) / kg) * chromaGain * FIXED_ONE);
  const gv = Math.round(((2 * kr * (1 - kr)) / kg) * chromaGain * FIXED_ONE);

  const { width, height, chromaStep, shiftX, shiftY } = yuv;
  const ySamples = yuv.y.samples;
  const uSamples = yuv.u.samples;
  const vSamples = yuv.v.samples;
  const rgb = new Uint8Array(width * height * 3);
  let out = 0;
  for (let row = 0; row < height; row++) {
    const yRow = row * yuv.y.stride;
    const uRow = (row >> shiftY) * yuv.u.stride;
    const vRow = (row >> shiftY) * yuv.v.stride + yuv.vOffset;
    for (let col = 0; col < width; col++, out += 3) {
      const at = (col >> shiftX) * chromaStep;
      const u = uSamples[uRow + at]! - grey;
      const v = vSamples[vRow + at]! - grey;
      const luma = (ySamples[yRow + col]! - black) * cy + FIXED_HALF;
      rgb[out] = clampByte((luma + rv * v) >> FIXED_BITS);
      rgb[out + 1] = clampByte((luma - gu * u - gv * v) >> FIXED_BITS);
      rgb[out + 2] = clampByte((luma + bu * u) >> FIXED_BITS);
    }
  }
  return rgb;
}

/** Planes tagged as RGB hold green, blue and red. */
function gbrToRgb(planes: YuvPlanes, depth: number): Uint8Array {
  const { width, height } = planes;
  const shift = depth - 8;
  const rgb = new Uint8Array(width * height * 3);
  let out = 0;
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++, out += 3) {
      rgb[out] = planes.v.samples[row * planes.v.stride + col]! >> shift;
      rgb[out + 1] = planes.y.samples[row * planes.y.stride + col]! >> shift;
      rgb[out + 2] = planes.u.samples[row * planes.u.stride + col]! >> shift;
    }
  }
  return rgb;
}

function packedToRgb(picture: RawPicture, [red, green, blue]: [number, number, number]) {
  const { width, height } = picture;
  const { data, stride } = picture.planes[0]!;
  const rgb = new Uint8Array(width * height * 3);
  let out = 0;
  for (let row = 0; row < height; row++) {
    let at = row * stride;
    for (let col = 0; col < width; col++, out += 3, at += 4) {
      rgb[out] = data[at + red]!;
      rgb[out + 1] = data[at + green]!;
      rgb[out + 2] = data[at + blue]!;
    }
  }
  return rgb;
}

function clampByte(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
