import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { loadAudio } from "../../src/media/load.ts";
import { type LogMel, logMel } from "../../src/signal/log-mel.ts";
import { bytesOf, LOSSLESS, maxDifference } from "./golden.ts";

interface MelCase {
  seconds: number;
  frames: number;
  validFrames: number;
  stride: number;
  values: string;
  bandSums: number[];
}

/** The output of test/golden/media/make_mel.py. */
const golden = JSON.parse(readFileSync("test/golden/media/mel.json", "utf8")) as {
  clips: Record<keyof typeof LOSSLESS, { samples: number; sha256: string; mels: MelCase[] }>;
  librosa: { samples: number; stride: number; values: string; melStride: number; mel: string };
};

function floats(packed: string): Float32Array {
  return new Float32Array(new Uint8Array(inflateSync(bytesOf(packed))).buffer);
}

const every = (values: Float32Array, stride: number) => values.filter((_, i) => i % stride === 0);

function bandSums({ data, numMels, frames }: LogMel): number[] {
  return Array.from({ length: numMels }, (_, m) =>
    data.subarray(m * frames, (m + 1) * frames).reduce((sum, value) => sum + value, 0),
  );
}

/** The first `count` columns of a spectrogram. */
function columns({ data, numMels, frames }: LogMel, count: number): Float32Array {
  const out = new Float32Array(numMels * count);
  for (let m = 0; m < numMels; m++) {
    out.set(data.subarray(m * frames, m * frames + count), m * count);
  }
  return out;
}

/** Compares as buffers; vitest's own comparison takes seconds on whole spectrograms. */
function same(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(new Uint8Array(a.buffer), new Uint8Array(b.buffer)) === 0;
}

const names = Object.keys(LOSSLESS) as (keyof typeof LOSSLESS)[];

describe.each(names)("the sound of %s", (name) => {
  const want = golden.clips[name];
  const loading = loadAudio(LOSSLESS[name]);

  test("is decoded to the samples that the reference was given", async () => {
    const { samples } = await loading;
    expect(samples.length).toBe(want.samples);
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(want.sha256);
  });

  test.each(want.mels)("has WhisperFeatureExtractor's log-mel over $seconds s", async (mel) => {
    const { samples } = await loading;
    const maxSamples = mel.seconds * 16000;
    const got = logMel(samples, { maxSamples, frames: mel.frames });
    expect([got.frames, got.validFrames]).toEqual([mel.frames, mel.validFrames]);
    // Measured over all values: 2.0e-5, which is the float32 of the reference.
    expect(maxDifference(every(got.data, mel.stride), floats(mel.values))).toBeLessThan(3e-5);
    const means = bandSums(got).map((sum, m) => (sum - mel.bandSums[m]!) / mel.frames);
    expect(Math.max(...means.map(Math.abs))).toBeLessThan(2e-7);
  });

  test("has the same frames whatever number is asked for", async () => {
    const { samples } = await loading;
    const sound = samples.subarray(0, 8000);
    const all = logMel(sound, { maxSamples: 480_000, frames: 3000 });
    expect([all.frames, all.validFrames]).toEqual([3000, 50]);
    const padded = logMel(sound, { maxSamples: 480_000, padded: true });
    expect(same(padded.data, all.data)).toBe(true);
    for (const frames of [1, 25, 49, 50, 51, 52, 53, 1000]) {
      const some = logMel(sound, { maxSamples: 480_000, frames });
      expect([some.frames, some.validFrames, some.floor]).toEqual([frames, 50, all.floor]);
      expect(same(some.data, columns(all, frames)), `${frames} frames`).toBe(true);
    }
    expect(same(logMel(sound, { maxSamples: 480_000 }).data, columns(all, 50))).toBe(true);
    // Two frames after the last still see the sound; from the third on there is silence.
    const at = (frame: number) => Array.from({ length: 128 }, (_, m) => all.data[m * 3000 + frame]);
    expect(new Set(at(51)).size).toBeGreaterThan(1);
    for (const frame of [52, 53, 2999]) expect(new Set(at(frame))).toEqual(new Set([all.floor]));
  });
});

test("a file comes out as librosa loads it", async () => {
  const want = golden.librosa;
  const { samples } = await loadAudio(LOSSLESS.voice);
  expect(samples.length).toBe(want.samples);
  const reference = floats(want.values);
  const got = every(samples, want.stride);
  const energy = (x: Float32Array) => x.reduce((sum, v) => sum + v * v, 0);
  const difference = got.map((value, i) => value - reference[i]!);
  // soxr works in stages; measured over all samples: 3.0e-6 relative L2, 2.4e-5 at most.
  expect(Math.sqrt(energy(difference) / energy(reference))).toBeLessThan(4e-6);
  expect(maxDifference(got, reference)).toBeLessThan(3e-5);
  const melReference = floats(want.mel);
  const mel = logMel(samples, { maxSamples: 480_000, frames: 3000 }).data;
  const differences = every(mel, want.melStride).map((v, i) => Math.abs(v - melReference[i]!));
  // The rest is at the edge of the pass band, 7.3 to 8 kHz, where the speech is at its floor.
  expect(Math.max(...differences)).toBeLessThan(3e-3);
  expect(differences.reduce((a, b) => a + b) / differences.length).toBeLessThan(1e-5);
});

test("frames out of range are named", () => {
  const sound = new Float32Array(1600);
  for (const frames of [0, 1.5, 3001]) {
    expect(() => logMel(sound, { maxSamples: 480_000, frames })).toThrow(
      `${frames} frames are wanted of a spectrogram that has 1 to 3000`,
    );
  }
});
