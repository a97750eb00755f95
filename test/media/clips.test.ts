import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import { decodeAudio } from "../../src/media/decode-audio.ts";
import { decodeVideo } from "../../src/media/decode-video.ts";
import type { FrameInfo } from "../../src/media/types.ts";
import { bytesOf, clipPath as path, floatsOf, maxDifference, wavFile } from "./golden.ts";

/** The output of test/golden/media/make_clips.py. */
const golden = JSON.parse(readFileSync("test/golden/media/clips.json", "utf8")) as {
  pictures: Record<string, { frames: number; fps: number }>;
  columns: Record<string, string>;
  sound: Record<string, { samples: number; values: string }>;
};

const bytes = (name: string) => new Uint8Array(readFileSync(path(name)));

async function framesOf(data: Uint8Array | string): Promise<FrameInfo> {
  let seen: FrameInfo | undefined;
  const source = typeof data === "string" ? data : { name: "a clip", data };
  await decodeVideo(source, (info) => {
    seen = info;
    return [0];
  });
  return seen!;
}

/** The code of the DataError that a medium is refused with, or what `fine` says of it. */
async function outcome<T>(reading: Promise<T>, fine: (result: T) => string): Promise<string> {
  try {
    return fine(await reading);
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw error;
  }
}

test.each(Object.entries(golden.pictures))("%s has the frames of decord", async (name, want) => {
  const info = await framesOf(path(name));
  expect([info.totalFrames, info.fps]).toEqual([want.frames, want.fps]);
});

test.each(Object.entries(golden.columns))(
  "%s has its own colours at the edge",
  async (name, want) => {
    const { frames, width, height } = await decodeVideo(path(name), () => [0]);
    const columns = Math.min(2, width);
    const edge = Array.from({ length: height }, (_, row) => {
      const end = (row + 1) * width * 3;
      return [...frames[0]!.rgb.subarray(end - columns * 3, end)];
    });
    expect(maxDifference(edge.flat(), bytesOf(want))).toBeLessThanOrEqual(1);
  },
);

test.each(Object.entries(golden.sound))("%s sounds as librosa loads it", async (name, want) => {
  const { samples } = await decodeAudio(path(name));
  expect(samples).toHaveLength(want.samples);
  const reference = floatsOf(want.values);
  const energy = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0);
  const off = reference.map((value, i) => samples[i * 97]! - value);
  // Resamplers and decoders differ by up to 1 %; one sample of lag makes more than 30 %.
  expect(Math.sqrt(energy(off) / energy(reference))).toBeLessThan(0.03);
});

const CUTS = [0.75, 0.9];

test.each(["24.mp4", "24.mov", "24-edits.mp4", "24-fragments.mp4", "24.mkv", "24.webm", "24.avi"])(
  "%s cut off is refused by name",
  async (name) => {
    const whole = bytes(name);
    for (const share of CUTS) {
      const cut = whole.slice(0, Math.floor(whole.length * share));
      const got = await outcome(framesOf(cut), ({ fps }) => `${fps} Hz`);
      expect(got, `at ${share}`).toBe("media-cut-off");
    }
  },
);

test.each(["24.m2t", "24.mpg"])("%s that stops keeps its rate", async (name) => {
  const whole = bytes(name);
  for (const share of CUTS) {
    const { fps, totalFrames } = await framesOf(whole.slice(0, Math.floor(whole.length * share)));
    expect(fps).toBe(24);
    expect(totalFrames).toBeLessThan(72);
  }
});

test.each([
  ...["pcm.wav", "adpcm.wav", "opus.ogg", "vorbis.ogg", "flac.ogg", "opus.webm", "16000.mp3"],
  ...["pcm.aiff", "aac.m4a", "alac.m4a"],
])("%s cut off is refused", async (name) => {
  const whole = bytes(name);
  for (const share of CUTS) {
    const data = whole.slice(0, Math.floor(whole.length * share));
    const got = await outcome(decodeAudio({ name, data }), (clip) => `${clip.durationS} s`);
    expect(got, `at ${share}`).toBe("media-cut-off");
  }
});

test("frames that state no number count as far as they go", async () => {
  for (const name of ["bare.mp3", "aac.aac"]) {
    const whole = bytes(name);
    const all = await decodeAudio({ name, data: whole });
    const half = await decodeAudio({ name, data: whole.slice(0, whole.length / 2) });
    expect(half.durationS / all.durationS).toBeGreaterThan(0.4);
    expect(half.durationS / all.durationS).toBeLessThan(0.6);
  }
});

test.each(["24.mkv", "24.webm", "opus.ogg", "opus.webm", "bare.mp3", "aac.aac"])(
  "%s with a hole is refused",
  async (name) => {
    const data = bytes(name).fill(0, 2000, 3200);
    const reading = name.startsWith("24") ? framesOf(data) : decodeAudio({ name, data });
    const got = await outcome<unknown>(reading, () => "fine");
    expect(got).toMatch(/^media-(holed|corrupt)$/);
  },
);

test("what is wrong is said", async () => {
  const empty = { name: "empty.mp4", data: new Uint8Array(0) };
  await expect(framesOf(empty.data)).rejects.toThrow("a clip is empty: it has 0 bytes");
  const sound = new Float32Array(1600).fill(0.1);
  const wav = wavFile(sound, 16000);
  // The same as 32-bit floats, one of them no number.
  const float = new Uint8Array(44 + 6400);
  float.set(wav.subarray(0, 44));
  const view = new DataView(float.buffer);
  view.setUint16(20, 3, true);
  view.setUint32(28, 64_000, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  view.setUint32(40, 6400, true);
  view.setUint32(4, 6436, true);
  view.setFloat32(44 + 4 * 800, NaN, true);
  const reading = decodeAudio({ name: "nan.wav", data: float });
  await expect(reading).rejects.toThrow("nan.wav: sample 800 of its sound (0.050 s) is NaN");
  const torn = { name: "torn.ogg", data: bytes("vorbis.ogg").slice(0, 300) };
  await expect(decodeAudio(torn)).rejects.toThrow(
    "torn.ogg is cut off: it states a last page of its stream of Ogg, but it ends after one page",
  );
});
