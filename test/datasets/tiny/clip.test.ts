import { describe, expect, test } from "vitest";
import {
  clipContents,
  FRAME_COUNT,
  makeClip,
  SAMPLE_COUNT,
  SAMPLE_RATE,
  type Clip,
} from "../../../src/datasets/tiny/clip.ts";
import { COLOURS, COLOUR_NAMES, SOUNDS } from "../../../src/datasets/tiny/words.ts";

const CLIPS = Array.from({ length: 60 }, (_, index) => makeClip(11, index));

function rms(samples: Float32Array): number {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}

/** Share of a frame's pixels that a nominal colour can have become by jitter and noise. */
function shareOf(frame: Uint8Array, nominal: readonly number[]): number {
  const noise = 30;
  let count = 0;
  for (let at = 0; at < frame.length; at += 3) {
    const fits = nominal.every((value, channel) => {
      const seen = frame[at + channel]!;
      return seen >= value * 0.85 - 18 - noise && seen <= value * 1.08 + 18 + noise;
    });
    if (fits) count++;
  }
  return count / (frame.length / 3);
}

describe("makeClip", () => {
  test("gives the same clip for the same seed and index, another one otherwise", () => {
    expect(makeClip(11, 3)).toEqual(CLIPS[3]);
    expect(makeClip(11, 4).samples).not.toEqual(CLIPS[3]!.samples);
    expect(makeClip(12, 3).frames).not.toEqual(CLIPS[3]!.frames);
    expect(clipContents(11, 3)).toEqual({
      colours: CLIPS[3]!.colours,
      sounds: CLIPS[3]!.sounds,
    });
  });

  test("has 16 frames of 56 x 56 RGB and two seconds of sound", () => {
    for (const clip of CLIPS) {
      expect(clip.frames).toHaveLength(FRAME_COUNT);
      expect(clip.frames.every((frame) => frame.length === 56 * 56 * 3)).toBe(true);
      expect(clip.samples).toHaveLength(SAMPLE_COUNT);
      expect(clip.samples.every((value) => Number.isFinite(value))).toBe(true);
    }
  });

  test("shows four different colours and plays four different sounds", () => {
    for (const clip of CLIPS) {
      expect(new Set(clip.colours).size).toBe(4);
      expect(new Set(clip.sounds).size).toBe(4);
    }
  });

  test("puts every colour and every sound into every slot about equally often", () => {
    const count = 3000;
    const seen = new Map<string, number>();
    for (let index = 0; index < count; index++) {
      const { colours, sounds } = clipContents(5, index);
      [...colours, ...sounds].forEach((name, at) => {
        seen.set(`${name} ${at % 4}`, (seen.get(`${name} ${at % 4}`) ?? 0) + 1);
      });
    }
    const deviation = Math.sqrt((count * 5) / 36);
    for (const name of [...COLOUR_NAMES, ...SOUNDS]) {
      for (let slot = 0; slot < 4; slot++) {
        expect(Math.abs(seen.get(`${name} ${slot}`)! - count / 6)).toBeLessThan(4 * deviation);
      }
    }
  });

  test("fills a good part of each frame with its slot's colour", () => {
    for (const clip of CLIPS) {
      clip.frames.forEach((frame, index) => {
        const share = shareOf(frame, COLOURS[clip.colours[Math.floor(index / 4)]!]);
        expect(share).toBeGreaterThan(0.1);
        expect(share).toBeLessThan(0.65);
      });
    }
  });

  test("moves the shape by the same step from frame to frame and jumps between slots", () => {
    const difference = (clip: Clip, a: number, b: number): number =>
      clip.frames[a]!.reduce((sum, value, at) => sum + Math.abs(value - clip.frames[b]![at]!), 0);
    let within = 0;
    let across = 0;
    for (const clip of CLIPS) {
      within += difference(clip, 0, 2) + difference(clip, 9, 11);
      across += difference(clip, 2, 4) + difference(clip, 6, 9);
    }
    expect(across).toBeGreaterThan(3 * within);
  });

  test("plays one event a slot, away from the slot's ends", () => {
    for (const clip of CLIPS) {
      for (let slot = 0; slot < 4; slot++) {
        const first = slot * 0.5 * SAMPLE_RATE;
        const before = rms(clip.samples.subarray(first, first + 0.05 * SAMPLE_RATE));
        const event = rms(clip.samples.subarray(first + 800, first + 7360));
        const after = rms(clip.samples.subarray(first + 7370, first + 8000));
        expect(before).toBeLessThan(0.007);
        expect(after).toBeLessThan(0.007);
        expect(event).toBeGreaterThan(0.014);
      }
    }
  });
});
