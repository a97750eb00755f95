import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import { decodeVideo } from "../../src/media/decode-video.ts";
import { allFrames } from "../../src/media/frames.ts";
import { loadAudio, loadVideo } from "../../src/media/load.ts";
import type { AudioClip, MediaWarning, VideoClip } from "../../src/media/types.ts";
import type { Frame } from "../../src/signal/frame.ts";
import { startWatchdog } from "../../src/media/watchdog.ts";
import { clipPath, LOSSLESS, maxDifference, noisyPicture, wavFile } from "./golden.ts";

/** Of what test/golden/media/make_clips.py writes. */
const clips = JSON.parse(readFileSync("test/golden/media/clips.json", "utf8")) as {
  quarters: number[];
  times: number[];
};

/** Fails unless the promise rejects with a DataError of this code; returns its message. */
async function codeOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DataError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("it should have failed");
}

const bytes = (x: Uint8Array | Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);

/** Compares frames as buffers; vitest's own comparison takes minutes on pixels. */
function samePixels(a: VideoClip, b: VideoClip): boolean {
  return (
    a.frames.length === b.frames.length &&
    a.frames.every((f, i) => Buffer.compare(bytes(f.rgb), bytes(b.frames[i]!.rgb)) === 0)
  );
}

/** Keeps counts and sizes, not pixels. */
const noPixels = (frame: Frame): Frame => ({ ...frame, rgb: new Uint8Array(0) });

test("a clip: frame choice, sizes, rates, pixels", async () => {
  const video = await loadVideo(LOSSLESS.film);
  expect([video.width, video.height, video.totalFrames, video.fps]).toEqual([320, 180, 24, 10]);
  expect(video.indices).toEqual([0, 8, 15, 23]);
  expect(video.frames[1]!.timestamp).toBeCloseTo(8 / 10, 6);
  const mean = video.frames.map((f) => f.rgb.reduce((a, b) => a + b, 0) / f.rgb.length);
  expect(new Set(mean.map((m) => m.toFixed(3))).size).toBe(4);
});

test("two decodes give the same bytes, of a path, bytes and a blob", async () => {
  const file = clipPath("24.webm");
  const [a, b] = [await loadVideo(file), await loadVideo(file)];
  expect(samePixels(a, b)).toBe(true);
  expect(a.indices).toEqual(b.indices);
  const data = new Uint8Array(readFileSync(file));
  const c = await loadVideo({ name: "bytes", data });
  const d = await loadVideo({ name: "blob", data: new Blob([data]) });
  expect(samePixels(c, a)).toBe(true);
  expect(samePixels(d, a)).toBe(true);
});

test("a turned clip is shown upright, as by ffmpeg", async () => {
  const { width, height, frames } = await loadVideo(clipPath("turned.mp4"));
  expect([width, height]).toEqual([32, 48]);
  const quarter = (top: number, left: number, channel: number) => {
    let sum = 0;
    for (let y = top; y < top + 24; y++) {
      for (let x = left; x < left + 16; x++) sum += frames[0]!.rgb[(y * 32 + x) * 3 + channel]!;
    }
    return sum / (24 * 16);
  };
  const corners = [0, 24].flatMap((top) => [0, 16].map((left) => [top, left] as const));
  const means = corners.flatMap(([top, left]) => [0, 1, 2].map((c) => quarter(top, left, c)));
  // swscale rounds down; another turn is more than 20 levels off.
  expect(maxDifference(means, clips.quarters)).toBeLessThan(2);
});

test("non-square pixels keep the coded size", async () => {
  const video = await loadVideo(clipPath("wide-pixels.mp4"));
  expect([video.width, video.height, video.totalFrames]).toEqual([48, 32, 72]);
});

test("a variable frame rate counts frames, not seconds", async () => {
  const video = await decodeVideo(clipPath("uneven.mp4"), allFrames(), { transform: noPixels });
  expect(
    maxDifference(
      video.frames.map((f) => f.timestamp),
      clips.times,
    ),
  ).toBeLessThan(1e-6);
});

test("of several audio tracks the first is used with a warning, or the one asked for", async () => {
  const file = clipPath("two-tracks.m4a");
  const warnings: MediaWarning[] = [];
  const first = await loadAudio(file, { onWarning: (w) => warnings.push(w) });
  expect(warnings.map((w) => w.code)).toEqual(["media-several-audio-tracks"]);
  const silent: MediaWarning[] = [];
  const zero = await loadAudio(file, { track: 0, onWarning: (w) => silent.push(w) });
  expect(silent).toEqual([]);
  expect(Buffer.compare(bytes(zero.samples), bytes(first.samples))).toBe(0);
  const second = await loadAudio(file, { track: 1 });
  const pitch = ({ samples }: AudioClip) => {
    const second = samples.subarray(4000, 12_000);
    return second.filter((v, i) => i > 0 && v > 0 !== second[i - 1]! > 0).length;
  };
  expect(Math.abs(pitch(first) - 300)).toBeLessThan(10);
  expect(Math.abs(pitch(second) - 900)).toBeLessThan(10);
  expect((await codeOf(loadAudio(file, { track: 2 }))).code).toBe("media-bad-track");
});

test("damage is an error, never a patched frame", async () => {
  const good = readFileSync(LOSSLESS.film);
  const oneBit = new Uint8Array(good);
  oneBit[41_000]! ^= 1;
  const { code, message } = await codeOf(loadVideo({ name: "one bit", data: oneBit }));
  expect([code, message]).toEqual([
    "media-corrupt",
    expect.stringContaining("one bit cannot be decoded"),
  ]);
  const holes = new Uint8Array(good).fill(0, 30_000, 70_000);
  expect((await codeOf(loadVideo({ name: "holes", data: holes }))).code).toBe("media-corrupt");
  expect((await codeOf(loadAudio({ name: "holes", data: holes }))).code).toBe("media-corrupt");
  const short = new Uint8Array(good.subarray(0, good.length * 0.6));
  expect((await codeOf(loadVideo({ name: "short", data: short }))).code).toBe("media-cut-off");
  // Damage leaves nothing behind: the next clip decodes.
  expect((await loadVideo(LOSSLESS.film)).frames).toHaveLength(4);
});

test("a missing kind of track is named", async () => {
  expect((await codeOf(loadVideo(clipPath("two-tracks.m4a")))).code).toBe("media-no-video-track");
  expect((await codeOf(loadAudio(clipPath("24.mp4")))).code).toBe("media-no-audio-track");
});

test("missing and unknown files are named", async () => {
  const { code, message } = await codeOf(loadVideo("clips/nowhere.mp4"));
  expect(code).toBe("media-missing");
  expect(message).toContain("clips/nowhere.mp4");
  expect((await codeOf(loadAudio("package.json"))).code).toBe("media-unreadable");
  expect((await codeOf(loadAudio("src"))).code).toBe("media-no-audio-track");
});

test("a server that never answers is given up", async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hung.mp4`;
  const { code, message } = await codeOf(loadAudio(url, { timeoutS: 1 }));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(code).toBe("media-stalled");
  expect(message).toMatch(/hung\.mp4: no progress for 1 s while reading its header\. .*fetch it/);
});

test("WAV needs no decoder: channels are averaged, 16 kHz stays as it is", async () => {
  const left = Float32Array.from({ length: 800 }, (_, i) => Math.sin(i / 9));
  const both = left.length * 2;
  const interleaved = Float32Array.from({ length: both }, (_, i) => (i % 2 ? 0 : left[i >> 1]!));
  const audio = await loadAudio({ name: "a.wav", data: wavFile(interleaved, 16000, 2) });
  expect(audio.samples).toHaveLength(800);
  audio.samples.forEach((v, i) => expect(Math.abs(v - left[i]! / 2)).toBeLessThan(4e-5));
});

test("empty sound is named, however short sound is decoded", async () => {
  const wav = (n: number) => ({ name: "s.wav", data: wavFile(new Float32Array(n), 16000) });
  expect((await codeOf(loadAudio(wav(0)))).code).toBe("media-empty-audio");
  expect((await loadAudio(wav(1))).samples).toHaveLength(1);
});

/** A PNG whose rows cycle through the five filters. */
function pngFile({ width, height, rgb }: { width: number; height: number; rgb: Uint8Array }) {
  const row = width * 3;
  const raw = new Uint8Array(height * (row + 1));
  for (let y = 0; y < height; y++) {
    const filter = y % 5;
    raw[y * (row + 1)] = filter;
    for (let x = 0; x < row; x++) {
      const at = (dy: number, dx: number) => (y < dy || x < dx ? 0 : rgb[(y - dy) * row + x - dx]!);
      const [a, b, c] = [at(0, 3), at(1, 0), at(1, 3)];
      const p = a + b - c;
      const near = [a, b, c].sort((u, v) => Math.abs(p - u) - Math.abs(p - v))[0]!;
      const guess = [0, a, b, (a + b) >> 1, near][filter]!;
      raw[y * (row + 1) + 1 + x] = rgb[y * row + x]! - guess;
    }
  }
  const chunk = (type: string, body: Uint8Array) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(body.length);
    head.write(type, 4, "latin1");
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), body])));
    return Buffer.concat([head, body, crc]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data = deflateSync(raw);
  const parts = [chunk("IDAT", data.subarray(0, 20)), chunk("IDAT", data.subarray(20))];
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    ...parts,
    chunk("IEND", new Uint8Array(0)),
  ]);
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-media-"));
  await mkdir(join(folder, "clip"));
  await mkdir(join(folder, "bad"));
  for (let i = 0; i < 12; i++) {
    await writeFile(join(folder, "clip", `frame-${i}.png`), pngFile(noisyPicture(14, 11, i)));
  }
  await writeFile(join(folder, "clip", "clip.json"), '{"fps": 6}');
  const tone = Float32Array.from({ length: 16000 }, (_, i) => Math.sin(i / 5) / 2);
  await writeFile(join(folder, "clip", "audio.wav"), wavFile(tone, 8000));
  const png = pngFile(noisyPicture(14, 11, 0));
  await writeFile(join(folder, "bad", "0.png"), png.subarray(0, png.length - 30));
  await writeFile(join(folder, "bad", "1.png"), "not a picture");
});
afterAll(() => rm(folder, { recursive: true }));

test("a folder of frames and a WAV is a clip", async () => {
  const path = join(folder, "clip");
  const video = await loadVideo(path, { frames: allFrames() });
  const { width, height, totalFrames, fps, durationS } = video;
  expect({ width, height, totalFrames, fps, durationS }).toEqual({
    width: 14,
    height: 11,
    totalFrames: 12,
    fps: 6,
    durationS: 2,
  });
  // frame-10 follows frame-9: the order is that of the numbers.
  video.frames.forEach((f, i) => expect(f.rgb).toEqual(noisyPicture(14, 11, i).rgb));
  expect(video.frames[3]!.timestamp).toBe(0.5);
  expect((await loadVideo(path)).indices).toEqual([0, 4, 7, 11]);
  const audio = await loadAudio(path);
  expect([audio.samples.length, audio.sourceRate, audio.durationS]).toEqual([32000, 8000, 2]);
});

test("a folder's faults are named", async () => {
  const bad = join(folder, "bad");
  const first = await codeOf(loadVideo(bad, { frames: () => [0] }));
  expect(first.code).toBe("media-corrupt");
  expect(first.message).toContain("0.png");
  const second = await codeOf(loadVideo(bad, { frames: () => [1] }));
  expect(second.message).toContain("1.png cannot be decoded: it is not a PNG");
  expect((await codeOf(loadVideo(bad, { frames: () => [2] }))).code).toBe("media-frame-choice");
  expect((await codeOf(loadAudio(bad))).code).toBe("media-no-audio-track");
  expect((await codeOf(loadVideo(folder))).code).toBe("media-empty-video");
  await writeFile(join(bad, "fps.txt"), "soon");
  expect((await codeOf(loadVideo(bad))).code).toBe("media-bad-fps");
});

test("a busy event loop is no stall", async () => {
  let stalled = false;
  const watchdog = startWatchdog(1, () => (stalled = true));
  const start = performance.now();
  while (performance.now() - start < 2500);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(stalled).toBe(false);
  watchdog.stop();
});
