import fc from "fast-check";
import { expect, test } from "vitest";
import { type ColourTags, type RawPicture, toRgb } from "../../src/media/colour.ts";
import { orientRgb } from "../../src/media/orient.ts";

const UNSAID: ColourTags = { matrix: null, fullRange: null };

/** Kr and Kb of the standards, apart from the code under test. */
const WEIGHTS = {
  smpte170m: [0.299, 0.114],
  bt470bg: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  "bt2020-ncl": [0.2627, 0.0593],
} as const;

/** One pixel in exact arithmetic, from the definition of Y'CbCr. */
function exactRgb(yuv: [number, number, number], depth: number, tags: ColourTags): number[] {
  const [kr, kb] = WEIGHTS[(tags.matrix ?? "smpte170m") as keyof typeof WEIGHTS];
  const s = 2 ** (depth - 8);
  const peak = 2 ** depth - 1;
  const y = tags.fullRange ? yuv[0] / peak : (yuv[0] - 16 * s) / (219 * s);
  const [cb, cr] = [yuv[1], yuv[2]].map((c) => (c - 128 * s) / (tags.fullRange ? peak : 224 * s));
  const r = y + 2 * (1 - kr) * cr!;
  const b = y + 2 * (1 - kb) * cb!;
  const g = (y - kr * r - kb * b) / (1 - kr - kb);
  return [r, g, b].map((v) => Math.min(255, Math.max(0, v * 255)));
}

function planesOf(data: Uint8Array, layout: { offset: number; stride: number }[]) {
  return layout.map(({ offset, stride }) => ({ data: data.subarray(offset), stride }));
}

/** A 1x1 picture. */
function pixel(yuv: [number, number, number], depth: number): RawPicture {
  const bytes = depth === 8 ? 1 : 2;
  const data = bytes === 1 ? new Uint8Array(yuv) : new Uint8Array(new Uint16Array(yuv).buffer);
  const planes = planesOf(
    data,
    [0, 1, 2].map((i) => ({ offset: i * bytes, stride: bytes })),
  );
  const format = depth === 8 ? "I444" : `I444P${depth}`;
  return { format, width: 1, height: 1, planes };
}

test("every pixel is the rounded value of the definition, for all matrices, ranges and depths", () => {
  const matrix = fc.constantFrom(...Object.keys(WEIGHTS), null);
  const sample = fc.integer({ min: 0, max: 4095 });
  fc.assert(
    fc.property(
      fc.tuple(sample, sample, sample),
      fc.constantFrom(8, 10, 12),
      matrix,
      fc.constantFrom(true, false, null),
      (raw, depth, name, fullRange) => {
        const yuv = raw.map((v) => v >> (12 - depth)) as [number, number, number];
        const tags = { matrix: name, fullRange };
        const got = toRgb(pixel(yuv, depth), tags);
        const want = exactRgb(yuv, depth, tags);
        // Half a level of rounding, and what coefficients off by 2^-21 make of a luma of up to
        // 2^depth and two chromas of up to 2^(depth - 1).
        const limit = 0.5 + 2 ** (depth - 20) + 1e-9;
        got.forEach((v, i) => expect(Math.abs(v - want[i]!)).toBeLessThanOrEqual(limit));
      },
    ),
    { numRuns: 5000 },
  );
});

test("known colours: black, white and the primaries of limited BT.601", () => {
  const rgb = (y: number, u: number, v: number) => [...toRgb(pixel([y, u, v], 8), UNSAID)];
  expect(rgb(16, 128, 128)).toEqual([0, 0, 0]);
  expect(rgb(235, 128, 128)).toEqual([255, 255, 255]);
  expect(rgb(81, 90, 240)).toEqual([254, 0, 0]);
  expect(rgb(255, 128, 128)).toEqual([255, 255, 255]);
});

/** The planes of a 3x3 picture whose chroma is shared. */
const Y = [20, 40, 60, 80, 100, 120, 140, 160, 180];
const U = [90, 110, 130, 150];
const V = [200, 180, 160, 140];

test("I420 and NV12 of odd size share chroma by twos and agree", () => {
  const i420: RawPicture = {
    format: "I420",
    width: 3,
    height: 3,
    planes: planesOf(new Uint8Array([...Y, ...U, ...V]), [
      { offset: 0, stride: 3 },
      { offset: 9, stride: 2 },
      { offset: 13, stride: 2 },
    ]),
  };
  const nv12: RawPicture = {
    ...i420,
    format: "NV12",
    planes: planesOf(new Uint8Array([...Y, ...U.flatMap((u, i) => [u, V[i]!])]), [
      { offset: 0, stride: 3 },
      { offset: 9, stride: 4 },
    ]),
  };
  const got = toRgb(i420, UNSAID);
  expect(toRgb(nv12, UNSAID)).toEqual(got);
  for (let i = 0; i < 9; i++) {
    const c = (Math.floor(i / 3) >> 1) * 2 + ((i % 3) >> 1);
    const want = toRgb(pixel([Y[i]!, U[c]!, V[c]!], 8), UNSAID);
    expect([...got.subarray(i * 3, i * 3 + 3)]).toEqual([...want]);
  }
});

test("I422 shares chroma in rows only; alpha planes are passed over; strides are honoured", () => {
  const picture: RawPicture = {
    format: "I422A",
    width: 2,
    height: 2,
    planes: planesOf(new Uint8Array([50, 60, 0, 70, 80, 0, 100, 140, 120, 160, 9, 9, 9, 9]), [
      { offset: 0, stride: 3 },
      { offset: 6, stride: 1 },
      { offset: 8, stride: 1 },
      { offset: 10, stride: 2 },
    ]),
  };
  const want = [
    [50, 100, 120],
    [60, 100, 120],
    [70, 140, 160],
    [80, 140, 160],
  ].flatMap((yuv) => [...toRgb(pixel(yuv as [number, number, number], 8), UNSAID)]);
  expect([...toRgb(picture, UNSAID)]).toEqual(want);
});

test("packed and GBR pictures are reordered only", () => {
  const packed = (format: string): RawPicture => ({
    format,
    width: 1,
    height: 1,
    planes: planesOf(new Uint8Array([1, 2, 3, 4]), [{ offset: 0, stride: 4 }]),
  });
  expect([...toRgb(packed("RGBA"), UNSAID)]).toEqual([1, 2, 3]);
  expect([...toRgb(packed("BGRX"), UNSAID)]).toEqual([3, 2, 1]);
  const gbr = toRgb(pixel([10, 20, 30], 8), { matrix: "rgb", fullRange: true });
  expect([...gbr]).toEqual([30, 10, 20]);
  expect(() => toRgb(packed("P010"), UNSAID)).toThrow(/P010/);
});

test("rotation is clockwise, the flip comes after it, four quarter turns are none", () => {
  const picture = { width: 3, height: 2, rgb: new Uint8Array(18) };
  for (let i = 0; i < 6; i++) picture.rgb.fill(i, i * 3, i * 3 + 3);
  const look = (p: { rgb: Uint8Array }) => [...p.rgb].filter((_, i) => i % 3 === 0).join("");
  const turn = (rotation: 0 | 90 | 180 | 270, flip = false) =>
    orientRgb(picture, { rotation, flip });
  expect(look(turn(0))).toBe("012345");
  expect(look(turn(90))).toBe("304152");
  expect([turn(90).width, turn(90).height]).toEqual([2, 3]);
  expect(look(turn(180))).toBe("543210");
  expect(look(turn(270))).toBe("251403");
  expect(look(turn(0, true))).toBe("210543");
  expect(look(turn(90, true))).toBe("031425");
  expect(look(orientRgb(turn(90), { rotation: 270, flip: false }))).toBe("012345");
});
