import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  allFrames,
  hfFrames,
  hfIndices,
  qwenFrameCount,
  qwenFrames,
  sampledFps,
  spacedIndices,
} from "../../src/media/frames.ts";
import type { FrameChoice, FrameInfo } from "../../src/media/types.ts";
import { golden } from "./golden.ts";

const info = (totalFrames: number, fps: number) => ({
  totalFrames,
  fps,
  durationS: totalFrames / fps,
});

test("qwenFrames gives the specification's examples", () => {
  const twenty = qwenFrames()(info(300, 30));
  expect(twenty.slice(0, 6)).toEqual([0, 16, 31, 47, 63, 79]);
  expect([twenty.length, twenty[19]]).toEqual([20, 299]);
  expect(qwenFrameCount(info(299, 29.97))).toBe(18);
  expect(sampledFps(info(299, 29.97), 18)).toBeCloseTo(1.804, 3);
  expect(2 / sampledFps(info(299, 29.97), 18)).toBeCloseTo(1.1085, 4);
  expect(qwenFrames()(info(45, 30))).toEqual([0, 15, 29, 44]);
  expect(qwenFrames()(info(90, 30))).toEqual([0, 18, 36, 53, 71, 89]);
  expect(qwenFrameCount(info(54000, 30))).toBe(768);
});

test("hfFrames gives the specification's examples", () => {
  expect(hfFrames()(info(300, 30))).toEqual(Array.from({ length: 20 }, (_, i) => 15 * i));
  const eighteen = hfFrames()(info(299, 29.97));
  expect(eighteen.slice(0, 6)).toEqual([0, 16, 33, 49, 66, 83]);
  expect(eighteen.at(-1)).toBe(282);
  expect(hfFrames()(info(45, 30))).toEqual([0, 11, 22, 33]);
  expect(hfIndices(17, 14)).toHaveLength(15);
});

interface Asked {
  fps?: number;
  nframes?: number;
  min_frames?: number;
  max_frames?: number;
}

/** 0 for n or length where the reference refuses. */
type Choice = [
  ...[total: number, fps: number, asked: Asked, n: number],
  ...[spaced: number, hfLength: number, hf: number],
];

const { choices } = JSON.parse(readFileSync("test/golden/media/frames.json", "utf8")) as {
  choices: Choice[];
};

const checksum = (indices: number[]) =>
  indices.reduce((sum, value, i) => (sum * 31 + value + i) % 2147483647, 0);

/** The indices, or none where the choice is refused. */
function chosen(choice: FrameChoice, about: FrameInfo): number[] {
  try {
    return choice(about);
  } catch (error) {
    expect(error).toMatchObject({ code: "media-frame-choice" });
    return [];
  }
}

test("2,000 choices are those of smart_nframes with linspace, and of HF's sampler", () => {
  expect(choices).toHaveLength(2000);
  expect(choices.filter(([total]) => total > 19_000).length).toBeGreaterThan(300);
  for (const [total, fps, asked, n, spaced, hfLength, hf] of choices) {
    const { fps: rate, nframes, min_frames: minFrames, max_frames: maxFrames } = asked;
    const given = Object.entries({ fps: rate, nframes, minFrames, maxFrames });
    const options = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const name = `${total} frames at ${fps}, ${JSON.stringify(asked)}`;
    const ours = chosen(qwenFrames(options), info(total, fps));
    expect([ours.length, checksum(ours)], name).toEqual([n, spaced]);
    const theirs = chosen(hfFrames(options), info(total, fps));
    expect([theirs.length, checksum(theirs)], name).toEqual([hfLength, hf]);
  }
});

test("indices equal torch's linspace and arange over many lengths", () => {
  for (const [total, n, spaced, hfLength, hf] of golden.frames) {
    expect(checksum(spacedIndices(total, n)), `linspace ${total} ${n}`).toBe(spaced);
    const indices = hfIndices(total, n);
    expect([indices.length, checksum(indices)], `arange ${total} ${n}`).toEqual([hfLength, hf]);
  }
});

test("nframes is rounded to even, halves to even", () => {
  const count = (nframes: number) => qwenFrameCount(info(100, 25), { nframes });
  expect([count(4), count(5), count(7), count(3)]).toEqual([4, 4, 8, 4]);
});

test("the bounds are honoured and impossible choices are named", () => {
  expect(qwenFrameCount(info(1000, 25), { maxFrames: 9 })).toBe(8);
  expect(qwenFrameCount(info(1000, 100), { minFrames: 31 })).toBe(32);
  expect(() => qwenFrameCount(info(1, 25))).toThrow(
    /^the clip has one frame, and a video needs at least 2\. Give it as a picture/,
  );
  expect(() => qwenFrameCount(info(10, 25), { nframes: 12 })).toThrow(
    /^nframes is 12, but the clip has 10 frames\. Set nframes to a number from 2 to 10/,
  );
  expect(() => qwenFrameCount(info(10, 25), { nframes: 2, fps: 1 })).toThrow(/both given/);
});

test("allFrames takes everything in order", () => {
  expect(allFrames()(info(3, 10))).toEqual([0, 1, 2]);
});
