import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSampleRate, resample } from "../../src/signal/resample.ts";
import { floatsOf, golden, LOSSLESS, maxDifference } from "../media/golden.ts";
import { flacMono } from "../media/flac.ts";

const tone = (hz: number, rate: number, n: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));

const energy = (x: Float32Array) => x.reduce((sum, v) => sum + v * v, 0);

test("the length is ceil(n * 16000 / rate)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3000 }),
      fc.constantFrom(8000, 11025, 44100, 48000),
      (n, hz) => {
        expect(resample(new Float32Array(n), hz, 16000).length).toBe(Math.ceil((n * 16000) / hz));
      },
    ),
    { numRuns: 60 },
  );
});

test("the rate that is wanted already changes nothing", () => {
  const x = tone(440, 16000, 100);
  expect(resample(x, 16000, 16000)).toBe(x);
});

test("tones below 0.91 of Nyquist come through in place: no shift, no loss", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 50, max: 7280 }),
      fc.constantFrom(22050, 44100, 48000),
      (hz, rate) => {
        const out = resample(tone(hz, rate, rate / 5), rate, 16000);
        const want = tone(hz, 16000, out.length);
        // Away from the ends, where the silence around the signal shows.
        expect(maxDifference(out.subarray(200, -200), want.subarray(200, -200))).toBeLessThan(1e-4);
      },
    ),
    { numRuns: 25 },
  );
});

test("tones above the new Nyquist frequency vanish", () => {
  for (const hz of [8050, 9000, 15000, 20000]) {
    const out = resample(tone(hz, 48000, 9600), 48000, 16000);
    expect(energy(out.subarray(200, -200)) / out.length).toBeLessThan(1e-9);
  }
});

test("a constant stays a constant at every phase", () => {
  const out = resample(new Float32Array(4410).fill(0.25), 44100, 16000);
  for (const value of out.subarray(100, -100)) expect(Math.abs(value - 0.25)).toBeLessThan(1e-7);
});

test("the energy of band-limited noise is kept", () => {
  const n = 44100;
  const noise = new Float32Array(n);
  for (let k = 1; k <= 40; k++) {
    const hz = 97 + 151 * k;
    for (let i = 0; i < n; i++) noise[i]! += Math.sin((2 * Math.PI * hz * i) / 44100 + k * k) / 40;
  }
  const ratio = energy(resample(noise, 44100, 16000)) / energy(noise) / (16000 / 44100);
  expect(Math.abs(ratio - 1)).toBeLessThan(1e-3);
});

test("is linear", () => {
  const [a, b] = [tone(300, 44100, 4000), tone(5000, 44100, 4000)];
  const sum = resample(
    a.map((v, i) => v + 2 * b[i]!),
    44100,
    16000,
  );
  const [ra, rb] = [resample(a, 44100, 16000), resample(b, 44100, 16000)];
  expect(
    maxDifference(
      sum,
      ra.map((v, i) => v + 2 * rb[i]!),
    ),
  ).toBeLessThan(1e-6);
});

test("a rate that gives no small bank of filters hears the same as its neighbour, in place", () => {
  for (const [odd, hz] of [
    [44101, 3000],
    [48001, 7000],
    [192001, 7000],
    [767_999, 5000],
    [1009, 400],
  ] as const) {
    const out = resample(tone(hz, odd, odd / 4), odd, 16000);
    const want = tone(hz, 16000, out.length);
    const edge = odd < 16000 ? 1600 : 100;
    const middle = [out, want].map((x) => x.subarray(edge, -edge)) as [Float32Array, Float32Array];
    expect(maxDifference(...middle), `${odd} Hz`).toBeLessThan(1e-4);
  }
  const flat = resample(new Float32Array(4410).fill(0.25), 44101, 16000);
  for (const value of flat.subarray(100, -100)) expect(Math.abs(value - 0.25)).toBeLessThan(1e-7);
});

test("the work for a rate is bounded by the sound, not by the rate's fractions", () => {
  // A bank of every position of these would have 3 to 390 million taps.
  const started = process.cpuUsage();
  for (const odd of [44101, 192001, 767_999]) resample(tone(440, 16000, 8000), odd, 16000);
  expect(process.cpuUsage(started).user / 1e6).toBeLessThan(3);
});

test("rates that only a damaged header states are refused by name", () => {
  for (const hz of [0, 1, 7, 999, 999_983, 3_000_017, 4_278_206_080, 44100.5, Number.NaN]) {
    expect(() => checkSampleRate(hz, "a.wav")).toThrow(`a.wav states a sample rate of ${hz} Hz`);
  }
  for (const hz of [1000, 8000, 44101, 768_000]) checkSampleRate(hz, "a.wav");
});

test.each(Object.entries(golden.resample))(
  "speech taken as %s Hz agrees with soxr HQ",
  async (rate, want) => {
    const mono = await flacMono(LOSSLESS.voice);
    const out = resample(mono, Number(rate), 16000);
    expect(out.length).toBe(want.length);
    const got = out.filter((_, i) => i % want.stride === 0);
    const ref = floatsOf(want.values);
    const diff = got.map((v, i) => v - ref[i]!);
    // One filter against soxr's stages: 3.0e-6 at 44.1 kHz is the worst that was measured.
    expect(Math.sqrt(energy(diff) / energy(ref))).toBeLessThan(4e-6);
  },
);
