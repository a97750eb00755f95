import { expect, test } from "vitest";
import { CLIP_MEAN, CLIP_STD, patchify } from "../../src/signal/patchify.ts";
import { floatsOf, golden, maxDifference, noisyPicture } from "../media/golden.ts";

test("an image gives the patches of HF's slow processor, bit for bit", () => {
  const { salt, size, grid, slow } = golden.patchify;
  const image = noisyPicture(size[0], size[1], salt);
  const got = patchify([image, image], { mode: "slow" });
  expect(got.grid).toEqual(grid);
  expect(got.width).toBe(1176);
  expect(got.data).toEqual(floatsOf(slow));
});

test("an image gives the patches of HF's fast processor", () => {
  const { salt, size, fast } = golden.patchify;
  const got = patchify([noisyPicture(size[0], size[1], salt)], { mode: "fast" });
  expect(maxDifference(got.data, floatsOf(fast))).toBe(0);
});

test("rows go cell by cell, columns by channel, frame, y, x", () => {
  const [width, height] = [56, 28];
  // Each value tells its place: red is x, green is y, blue is the frame.
  const frames = [0, 1].map((f) => {
    const rgb = new Uint8Array(width * height * 3);
    for (let i = 0; i < width * height; i++) rgb.set([i % width, Math.floor(i / width), f], i * 3);
    return { width, height, rgb };
  });
  const { data, width: row } = patchify(frames, { mean: [0, 0, 0], std: [1, 1, 1] });
  const level = (value: number) => Math.round(value * 255);
  const corners = Array.from({ length: 8 }, (_, r) => [
    level(data[r * row + 392]!),
    level(data[r * row]!),
  ]);
  const want = "0,0 0,14 14,0 14,14 0,28 0,42 14,28 14,42";
  expect(corners.map((c) => c.join()).join(" ")).toBe(want);
  const at = (i: number) => level(data[i]!);
  expect([at(0), at(1), at(14)]).toEqual([0, 1, 0]);
  expect([at(392), at(392 + 14)]).toEqual([0, 1]);
  expect([at(784), at(784 + 196)]).toEqual([0, 1]);
});

test("an odd last frame is repeated", () => {
  const [a, b, c] = [1, 2, 3].map((salt) => noisyPicture(28, 28, salt));
  const odd = patchify([a!, b!, c!]);
  expect(odd.grid).toEqual([2, 2, 2]);
  expect(odd.data).toEqual(patchify([a!, b!, c!, c!]).data);
});

test("levels are the specification's, in both modes", () => {
  const rgb = new Uint8Array(28 * 28 * 3);
  rgb.set([0, 0, 0, 128, 0, 0, 255, 255, 255]);
  for (const mode of ["slow", "fast"] as const) {
    const { data } = patchify([{ width: 28, height: 28, rgb }], { mode });
    const want = [-1.7922625, 0.076336074, 1.9303363];
    expect(maxDifference(data.subarray(0, 3), want)).toBeLessThan(3e-7);
    expect(data[392 + 2]).toBeCloseTo(2.0748838, 6);
    expect(data[784 + 2]).toBeCloseTo(2.145897, 6);
    expect(data[784]).toBeCloseTo(-CLIP_MEAN[2]! / CLIP_STD[2]!, 6);
  }
});

test("other patch sizes work, wrong sizes are named", () => {
  const frame = noisyPicture(12, 8, 0);
  const { grid, width, data } = patchify([frame], {
    patchSize: 4,
    temporalPatchSize: 1,
    mergeSize: 1,
  });
  expect([grid, width, data.length]).toEqual([[1, 2, 3], 48, 12 * 8 * 3]);
  expect(() => patchify([frame])).toThrow(/12 x 8 cannot be cut into cells of 28 x 28/);
  expect(() => patchify([])).toThrow(/no frame/);
});
