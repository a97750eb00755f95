import { expect, test } from "vitest";
import {
  averageFrameRate,
  rateOfNanoseconds,
  standardRate,
} from "../../src/container/frame-rate.ts";
import { qwenFrameCount } from "../../src/media/frames.ts";

/** Numerator and denominator of the rates that clips have. */
const RATES = [
  ...[10, 12, 15, 24, 25, 30, 48, 50, 60, 120].map((rate) => [rate, 1] as const),
  ...[24000, 30000, 60000].map((rate) => [rate, 1001] as const),
  [25, 2] as const,
];

/** Frame times as a container with this clock writes them. */
function timesOf(num: number, den: number, frames: number, resolution: number) {
  const tick = (i: number) => Math.round((i * den * resolution) / num);
  return Array.from({ length: frames }, (_, i) => ({
    timestamp: tick(i) / resolution,
    duration: tick(i + 1) / resolution - tick(i) / resolution,
  }));
}

test.each([
  ["Matroska or WebM without a stated duration", 1000],
  ["MPEG-TS", 90_000],
])("times of %s give the rate that was meant, and so its frames", (_, resolution) => {
  const clock = { resolution, statedRate: null, exact: false };
  for (const [num, den] of RATES) {
    for (let seconds = 1; seconds <= 120; seconds++) {
      const totalFrames = Math.floor((num * seconds) / den);
      const fps = averageFrameRate(timesOf(num, den, totalFrames, resolution), clock);
      expect(fps, `${num}/${den}, ${seconds} s`).toBe(num / den);
      const count = (rate: number) =>
        qwenFrameCount({ totalFrames, fps: rate, durationS: totalFrames / rate });
      expect(count(fps)).toBe(count(num / den));
    }
  }
});

test("fragments in any order of decoding are counted in ticks, not in seconds", () => {
  for (const [num, den] of RATES) {
    for (const seconds of [1, 3, 7, 41, 120]) {
      // As FFmpeg's muxer chooses it: at least 10,000 ticks a second.
      let resolution = num;
      while (resolution < 10_000) resolution *= 2;
      const times = timesOf(num, den, Math.floor((num * seconds) / den), resolution);
      [times[1], times[2]] = [times[2]!, times[1]!];
      const clock = { resolution, statedRate: null, exact: true };
      expect(averageFrameRate(times, clock)).toBe(num / den);
    }
  }
});

test("a duration in nanoseconds stands for the rate that was meant", () => {
  for (const [num, den] of RATES) {
    // 60000 is above the terms that FFmpeg allows; this is what decord states.
    const want = num === 60_000 ? 19_001 / 317 : num / den;
    expect(rateOfNanoseconds(Math.floor((1e9 * den) / num))).toBe(want);
  }
});

test("an uneven rate is the mean, within one percent that of a standard", () => {
  expect(standardRate(23.99)).toBe(24);
  expect(standardRate(23.98)).toBe(24_000 / 1001);
  expect(standardRate(71.3)).toBe(71.3);
  expect(standardRate(7.22)).toBe(87 / 12);
  const times = [0, 1, 5].map((timestamp) => ({ timestamp, duration: 1 }));
  const ticks = { resolution: 600, statedRate: null, exact: true };
  expect(averageFrameRate(times, ticks)).toBe(1);
  expect(averageFrameRate(times, { ...ticks, exact: false })).toBe(0.4);
  expect(averageFrameRate(times, { ...ticks, statedRate: 4 })).toBe(4);
});

test("a lone frame has the rate of its length, or 1", () => {
  const clock = { resolution: 1000, statedRate: null, exact: false };
  expect(averageFrameRate([{ timestamp: 3, duration: 0.04 }], clock)).toBe(25);
  expect(averageFrameRate([{ timestamp: 3, duration: 0 }], clock)).toBe(1);
});
