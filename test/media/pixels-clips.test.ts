import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeVideo } from "../../src/media/decode-video.ts";
import { patchify } from "../../src/signal/patchify.ts";
import { resizeFrame } from "../../src/signal/resize.ts";
import { smartResize } from "../../src/prompt/sizes.ts";
import type { Frame } from "../../src/signal/frame.ts";
import { bytesOf, FILM_FRAMES, LOSSLESS, maxDifference, noisyPicture } from "./golden.ts";

type Pair = [number, number];

interface SlowCase {
  limits: Pair;
  grid: number[];
  /** Hash of the resized bytes, and of the patches. */
  pil: string;
  pixels: string;
}

interface VideoCase {
  size: Pair;
  grid: number[];
  stride: number;
  bytes: string;
  sum: number;
  pixels: string;
  values: string;
  alone: string;
}

/** The output of test/golden/media/make_frames.py. */
const golden = JSON.parse(readFileSync("test/golden/media/frames.json", "utf8")) as {
  resize: ({ salt: number; size: Pair } & SlowCase)[];
  order: { salt: number; from: Pair; to: Pair; pil: string }[];
  ties: { from: Pair; to: Pair; pil: string; video: string }[];
  clips: {
    clip: "film";
    sha256: string[];
    images: SlowCase[];
    videos: VideoCase[];
  }[];
};

const unpack = (packed: string) => new Uint8Array(inflateSync(bytesOf(packed)));

function sha(data: Uint8Array | Float32Array): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash("sha256").update(bytes).digest("hex");
}

const sizeOf = ([width, height]: Pair) => ({ width, height });

/** An image on its whole way through the slow processor. */
function checkSlow(frame: Frame, want: SlowCase): void {
  const size = smartResize(frame, {
    ...{ factor: 28, minPixels: want.limits[0], maxPixels: want.limits[1] },
  });
  const resized = resizeFrame(frame, size, "pil");
  const patches = patchify([resized], { mode: "slow" });
  expect(patches.grid).toEqual(want.grid);
  expect(sha(resized.rgb)).toBe(want.pil);
  expect(sha(patches.data)).toBe(want.pixels);
}

test.each(golden.resize)("a picture of $size within $limits is HF's, bit for bit", (c) => {
  checkSlow(noisyPicture(c.size[0], c.size[1], c.salt), c);
});

test.each(golden.order)("$from to $to takes Pillow 13's order of passes", (c) => {
  const frame = noisyPicture(c.from[0], c.from[1], c.salt);
  expect(sha(resizeFrame(frame, sizeOf(c.to), "pil").rgb)).toBe(c.pil);
});

test.each(golden.ties)("levels halfway between two greys: $from to $to", (c) => {
  const { width, height } = sizeOf(c.from);
  const rgb = Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => 100 + (Math.floor(i / 3) % 2),
  );
  const frame = { width, height, rgb, timestamp: 0 };
  const red = (mode: "pil" | "float") =>
    resizeFrame(frame, sizeOf(c.to), mode).rgb.filter((_, i) => i % 3 === 0);
  expect(maxDifference(red("pil"), unpack(c.pil))).toBe(0);
  // torch sums in float32: where every value is a tie, its own noise decides (9 % of 56 to 28).
  expect(maxDifference(red("float"), unpack(c.video))).toBeLessThanOrEqual(1);
});

describe.each(golden.clips)("frames of $clip", (want) => {
  const loading = decodeVideo(LOSSLESS[want.clip], () => FILM_FRAMES);

  test("are the pixels that the reference was given", async () => {
    const { frames } = await loading;
    expect(frames.map(({ rgb }) => sha(rgb))).toEqual(want.sha256);
  });

  test("as images give the patches of HF's slow processor, bit for bit", async () => {
    const { frames } = await loading;
    want.images.forEach((image, i) => checkSlow(frames[i]!, image));
  });

  test.each(want.videos)("as a video of $size are those of qwen-omni-utils and HF", async (c) => {
    const { frames } = await loading;
    const resized = frames.map((frame) => resizeFrame(frame, sizeOf(c.size), "float"));
    const bytes = Buffer.concat(resized.map(({ rgb }) => rgb));
    const got = bytes.filter((_, i) => i % c.stride === 0);
    const reference = unpack(c.bytes);
    expect(maxDifference(got, reference)).toBeLessThanOrEqual(1);
    const unequal = got.filter((value, i) => value !== reference[i]).length;
    // Measured: 1 in 8,000.
    expect(unequal / got.length).toBeLessThan(1e-3);
    const sum = bytes.reduce((total, value) => total + value, 0);
    expect(Math.abs(sum - c.sum)).toBeLessThan(bytes.length * 1e-3);
    // Three frames: the last is repeated.
    const patches = patchify(resized, { mode: "fast" });
    expect(patches.grid).toEqual(c.grid);
    const values = new Float32Array(unpack(c.values).buffer);
    const sampled = patches.data.filter((_, i) => i % (c.stride * 41) === 0);
    // One level is 0.0146 to 0.015.
    expect(maxDifference(sampled, values)).toBeLessThan(0.0151);
  });

  test.each(want.videos)("resized to $size by HF alone are near Pillow's", async (c) => {
    const { frames } = await loading;
    const resized = frames.map((frame) => resizeFrame(frame, sizeOf(c.size), "pil"));
    const { data } = patchify(resized, { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] });
    const got = data.filter((_, i) => i % c.stride === 0).map(Math.round);
    const reference = unpack(c.alone);
    const unequal = got.filter((value, i) => value !== reference[i]).length;
    // torch's kernel for bytes has fewer bits than Pillow's; measured: 1 in 400.
    expect(maxDifference(got, reference)).toBeLessThanOrEqual(1);
    expect(unequal / got.length).toBeLessThan(5e-3);
  });
});
