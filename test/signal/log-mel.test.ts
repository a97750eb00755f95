import { expect, test } from "vitest";
import { planPowerSpectrum } from "../../src/signal/fft.ts";
import { logMel, melBank } from "../../src/signal/log-mel.ts";
import { floatsOf, golden, LOSSLESS, maxDifference, type Sampled } from "../media/golden.ts";
import { flacMono } from "../media/flac.ts";

const QWEN2_AUDIO = { maxSamples: 480000, frames: 3000 };

function every(mel: { data: Float32Array; numMels: number; frames: number }, stride: number) {
  const out: number[] = [];
  for (let m = 0; m < mel.numMels; m++) {
    for (let t = 0; t < mel.frames; t += stride) out.push(mel.data[m * mel.frames + t]!);
  }
  return out;
}

test.each([2, 4, 6, 10, 34, 50, 400])("the spectrum of %i samples is the plain DFT's", (n) => {
  const signal = Float64Array.from({ length: n }, (_, i) => Math.sin(i * i * 0.37) + 0.2);
  const power = new Float64Array(n / 2 + 1);
  planPowerSpectrum(n).run(signal, power);
  for (let k = 0; k <= n / 2; k++) {
    let re = 0;
    let im = 0;
    for (let i = 0; i < n; i++) {
      re += signal[i]! * Math.cos((2 * Math.PI * i * k) / n);
      im -= signal[i]! * Math.sin((2 * Math.PI * i * k) / n);
    }
    expect(Math.abs(power[k]! - (re * re + im * im))).toBeLessThan(1e-10 * n);
  }
});

test("the mel filter bank has the specification's weights", () => {
  const bank = melBank(128);
  const weights = bank.flatMap((row) => [...row.weights]);
  expect(weights).toHaveLength(394);
  expect(weights.reduce((a, b) => a + b)).toBeCloseTo(3.19098552854, 6);
  expect(Math.max(...weights)).toBeCloseTo(0.0416817493, 8);
  const at = (bin: number, mel: number) => bank[mel]!.weights[bin - bank[mel]!.first]!;
  expect(at(1, 0)).toBeCloseTo(0.0123739863, 9);
  expect(at(1, 1)).toBeCloseTo(0.0303925649, 9);
  expect(at(24, 40)).toBeCloseTo(0.0403763648, 9);
  expect(at(42, 64)).toBeCloseTo(0.0067496827, 9);
  expect(at(199, 127)).toBeCloseTo(0.0011142802, 9);
});

test("the specification's modulated sine", () => {
  const x = Float32Array.from({ length: 8000 }, (_, n) => Math.sin(0.01 * n) * ((n % 97) / 97));
  const mel = logMel(x, QWEN2_AUDIO);
  expect([mel.frames, mel.validFrames]).toEqual([3000, 50]);
  const want: [number, number, number][] = [
    [0, 0, 1.063713],
    [0, 25, 1.356107],
    [10, 10, 0.923567],
    [64, 25, 0.615956],
    [64, 49, 0.568946],
    [127, 0, 0.340561],
    [127, 49, 0.346083],
    [40, 50, 0.841474],
    [40, 51, 0.18239],
    [40, 52, -0.526464],
    [0, 2999, -0.526464],
  ];
  for (const [m, t, value] of want) {
    expect(Math.abs(mel.data[m * 3000 + t]! - value), `[${m}, ${t}]`).toBeLessThan(1e-5);
  }
  expect(mel.data.reduce((a, b) => Math.max(a, b))).toBeCloseTo(1.473536, 5);
  const { data } = logMel(x);
  expect(data.reduce((a, b) => a + b) / data.length).toBeCloseTo(0.67787, 5);
});

test("the specification's 440 Hz tone", () => {
  const x = Float32Array.from(
    { length: 16000 },
    (_, n) => 0.5 * Math.sin((2 * Math.PI * 440 * n) / 16000),
  );
  const mel = logMel(x, QWEN2_AUDIO);
  expect(mel.validFrames).toBe(100);
  const floor = -0.5146459;
  const want: [number, number, number][] = [
    [18, 2, 1.4853541],
    [0, 0, 0.9075196],
    [10, 0, 0.9858108],
    [14, 0, 1.282027],
    [20, 0, 1.330299],
    [127, 0, -0.08216369],
    [20, 50, 1.287393],
    [14, 50, floor],
    [14, 100, 1.131512],
    [20, 100, 1.235694],
    [14, 102, floor],
  ];
  for (const [m, t, value] of want) {
    expect(Math.abs(mel.data[m * 3000 + t]! - value), `[${m}, ${t}]`).toBeLessThan(1e-5);
  }
});

test("speech agrees with WhisperFeatureExtractor", async () => {
  const mono = await flacMono(LOSSLESS.voice);
  const speech = mono.filter((_, i) => i % 3 === 0);
  const want = golden.logMelSpeech;
  expect(speech.length).toBe(want.samples);
  const got = every(logMel(speech, QWEN2_AUDIO), want.stride);
  expect(maxDifference(got, floatsOf(want.values))).toBeLessThan(1e-4);
});

test("a clip that fills the buffer is mirrored at its right edge", () => {
  const full = Float32Array.from({ length: 480000 }, (_, n) => Math.sin(0.05 * n));
  const mel = logMel(full, QWEN2_AUDIO);
  const want: Sampled = golden.logMelFull;
  // A pure tone is exact only where it is loud: f32 noise of the reference fills the quiet bands.
  const got = every(mel, want.stride);
  const ref = floatsOf(want.values);
  const loud = Math.max(...ref) - 1;
  const pairs = got.map((g, i) => [g, ref[i]!] as const).filter(([, r]) => r > loud);
  expect(pairs.length).toBeGreaterThan(50);
  for (const [g, r] of pairs) expect(Math.abs(g - r)).toBeLessThan(1e-3);
  const end = floatsOf(golden.logMelFullEnd);
  for (let m = 0; m < 10; m++) {
    expect(Math.abs(mel.data[m * 3000 + 2999]! - end[m * 2 + 1]!), `mel ${m}`).toBeLessThan(1e-3);
  }
});

test("lengths, silence, and what is cut off", () => {
  const frames = (n: number) => logMel(new Float32Array(n)).validFrames;
  expect([160, 480, 16000, 16001, 48000, 80001].map(frames)).toEqual([1, 3, 100, 101, 300, 501]);
  expect(new Set(logMel(new Float32Array(5000), QWEN2_AUDIO).data)).toEqual(new Set([-1.5]));
  const long = logMel(new Float32Array(480123), QWEN2_AUDIO);
  expect([long.validFrames, long.droppedSamples]).toEqual([3000, 123]);
  expect(() => logMel(new Float32Array(0))).toThrow(/no sound/);
});

test("is fast enough for a training loop", () => {
  const seconds = (s: number) => Float32Array.from({ length: s * 16000 }, (_, n) => Math.sin(n));
  const [short, long] = [seconds(2), seconds(30)];
  const time = (x: Float32Array) => {
    const times = [0, 1, 2].map(() => {
      // Time of this process, not of the clock: other tests run at the same time.
      const start = process.cpuUsage();
      logMel(x);
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000;
    });
    return Math.min(...times);
  };
  time(short);
  // Measured 5 ms and 70 ms on two shared cores; the limits leave room for slower ones.
  expect(time(short)).toBeLessThan(15);
  expect(time(long)).toBeLessThan(300);
});
