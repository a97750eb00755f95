import { expect, test } from "vitest";
import { resizeFloat, resizeFrame, resizePil, type Size } from "../../src/signal/resize.ts";
import { smartResize, videoFrameSize } from "../../src/prompt/sizes.ts";
import { bytesOf, floatsOf, golden, maxDifference, noisyPicture } from "../media/golden.ts";

/** A small picture whose resized values are known, three equal channels. */
function grey(width: number, height: number, from = 8): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rgb.fill(((from * y + x) * 37) % 256, (y * width + x) * 3, (y * width + x) * 3 + 3);
    }
  }
  return rgb;
}

const red = <T extends ArrayLike<number>>(rgb: T) => Array.from(rgb).filter((_, i) => i % 3 === 0);

test("shrinks 8x8 to 4x4 as the specification's vectors say", () => {
  const from = { width: 8, height: 8 };
  const to = { width: 4, height: 4 };
  expect(red(resizePil(grey(8, 8), from, to))).toEqual([
    41, 118, 181, 75, 123, 185, 88, 72, 193, 94, 82, 169, 93, 84, 174, 186,
  ]);
  const want = [
    41.6005, 117.7945, 181.3661, 75.3264, 123.5411, 184.7034, 87.8222, 71.6416, 193.3559, 94.0654,
    81.7072, 168.5035, 93.0628, 83.6315, 174.2501, 185.9383,
  ];
  expect(maxDifference(red(resizeFloat(grey(8, 8), from, to)), want)).toBeLessThan(6e-5);
});

test("enlarges 4x4 to 6x6 as the specification's vectors say", () => {
  const from = { width: 4, height: 4 };
  const to = { width: 6, height: 6 };
  expect(red(resizePil(grey(4, 4), from, to))).toEqual([
    0, 12, 40, 65, 93, 110, 16, 31, 59, 84, 112, 129, 45, 62, 90, 115, 143, 160, 71, 88, 116, 141,
    169, 186, 102, 119, 147, 172, 200, 217, 121, 138, 166, 191, 219, 236,
  ]);
  const want = [
    -5.0658, 12.6037, 40.5351, 65.2018, 93.1331, 110.8026, 14.0364, 31.7059, 59.6373, 84.3039,
    112.2353, 129.9048,
  ];
  const got = red(resizeFloat(grey(4, 4), from, to)).slice(0, 12);
  expect(maxDifference(got, want)).toBeLessThan(6e-5);
});

test.each(golden.resize)("follows Pillow and torchvision from $from to $to", (c) => {
  const frame = noisyPicture(c.from[0], c.from[1], c.salt);
  const to = { width: c.to[0], height: c.to[1] };
  expect(resizePil(frame.rgb, frame, to)).toEqual(bytesOf(c.pil));
  // torch sums in f32: about 1e-4 levels.
  expect(maxDifference(resizeFloat(frame.rgb, frame, to), floatsOf(c.float))).toBeLessThan(5e-4);
  const video = resizeFrame(frame, to, "float").rgb;
  const want = bytesOf(c.video);
  expect(maxDifference(video, want)).toBeLessThanOrEqual(1);
  expect(video.filter((v, i) => v !== want[i]).length).toBeLessThanOrEqual(want.length * 3e-4);
});

test("a frame that has the size already is handed back", () => {
  const frame = noisyPicture(8, 6, 1);
  expect(resizeFrame(frame, { width: 8, height: 6 }, "pil")).toBe(frame);
  expect(resizePil(frame.rgb, frame, frame)).toEqual(frame.rgb);
});

test("a picture of the wrong length or an empty size is named", () => {
  const size = { width: 2, height: 2 };
  expect(() => resizePil(new Uint8Array(11), size, size)).toThrow(/2 x 2 has 11 values/);
  expect(() => resizeFloat(new Uint8Array(12), size, { width: 0, height: 2 })).toThrow(/side of 0/);
});

/** Limits of Qwen2.5's processors. */
const near = (size: Size, limits: { minPixels?: number; maxPixels?: number } = {}) =>
  smartResize(size, { factor: 28, minPixels: 3136, maxPixels: 12_845_056, ...limits });
const VIDEO = { factor: 28, minPixels: 100_352, maxPixels: 602_112, totalPixels: 90_316_800 };

test("smartResize gives the sizes of transformers", () => {
  for (const [width, height, minPixels, maxPixels, W, H] of golden.smartResize) {
    const got = near({ width, height }, { minPixels, maxPixels });
    expect(got, `${width} x ${height}`).toEqual({ width: W, height: H });
  }
});

test("smartResize rounds halves to even and refuses slivers", () => {
  const side = (n: number) => near({ width: n, height: 560 }, { minPixels: 1 }).width;
  expect([42, 70, 126, 112, 182, 28].map(side)).toEqual([56, 56, 112, 112, 168, 28]);
  expect(near({ height: 1080, width: 1920 })).toEqual({ height: 1092, width: 1932 });
  expect(near({ height: 480, width: 640 })).toEqual({ height: 476, width: 644 });
  expect(near({ height: 4000, width: 6000 })).toEqual({ height: 2912, width: 4368 });
  expect(() => near({ width: 1000, height: 4 })).toThrow(/1000 x 4 is too narrow/);
});

test("videoFrameSize gives the sizes of qwen-omni-utils", () => {
  const hd = { width: 1920, height: 1080 };
  expect(videoFrameSize(hd, 60, VIDEO)).toEqual({ width: 1008, height: 560 });
  expect(videoFrameSize({ width: 640, height: 360 }, 60, VIDEO)).toEqual({
    width: 644,
    height: 364,
  });
  expect(videoFrameSize({ width: 320, height: 240 }, 60, VIDEO)).toEqual({
    width: 392,
    height: 280,
  });
  expect(videoFrameSize(hd, 400, VIDEO)).toEqual({ width: 896, height: 504 });
  expect(videoFrameSize(hd, 768, VIDEO)).toEqual({ width: 644, height: 336 });
});

test("cells of another size have sides that are multiples of it, and limits in cells", () => {
  const cell = 32;
  const frame = { factor: cell, minPixels: 128 * cell ** 2, maxPixels: Infinity };
  const one = videoFrameSize({ width: 1920, height: 1080 }, 8, { ...frame, totalPixels: 1e9 });
  // 768 cells at most: 36 x 21 of them, the next aspect below.
  expect(one).toEqual({ width: 36 * cell, height: 20 * cell });
});
