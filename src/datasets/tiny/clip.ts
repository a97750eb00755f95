/**
 * The synthetic two-second clip: four slots of half a second, in each one shape of one colour and
 * one sound. The shape carries no information; colours and sounds are two independent permutations,
 * so neither tells the other.
 */
import { Random } from "../../core/random.ts";
import { COLOURS, COLOUR_NAMES, SOUNDS, type Colour, type Sound } from "./words.ts";

/**
 * Version of the generator and of the file writer: part of the cache folder's name, to be raised
 * whenever a clip or its bytes change.
 */
export const CLIP_VERSION = 1;
/** Slots of a clip. */
export const SLOTS = 4;
/** Length of a slot in seconds. */
export const SLOT_SECONDS = 0.5;
/** Side of the square frames in pixels. */
export const FRAME_SIZE = 56;
/** Frames per second of the file. */
export const FRAMES_PER_SECOND = 8;
/** Frames of a clip. */
export const FRAME_COUNT = 16;
/** The frames that sampling at 4 a second picks, ends included: two of each slot. */
const SAMPLED_FRAMES = [0, 2, 4, 6, 9, 11, 13, 15] as const;
/** Sample rate of the sound in Hz. */
export const SAMPLE_RATE = 16000;
/** Samples of a clip. */
export const SAMPLE_COUNT = SAMPLE_RATE * SLOTS * SLOT_SECONDS;

const FRAMES_PER_SLOT = FRAME_COUNT / SLOTS;
const RAMP_SECONDS = 0.015;

/** The pictures and sounds of a clip, slot by slot. */
export interface ClipContents {
  /** The four different colours, by slot. */
  colours: Colour[];
  /** The four different sounds, by slot. */
  sounds: Sound[];
}

/** A clip before it is encoded. */
export interface Clip extends ClipContents {
  /** 16 frames of 56 x 56 RGB bytes, row by row, at 8 frames a second. */
  frames: Uint8Array[];
  /** Mono sound at 16 kHz, 32,000 samples in about [-1, 1]. */
  samples: Float32Array;
}

/** Streams of one clip's random numbers, so that the contents are cheap to know alone. */
const STREAM = { contents: 0, picture: 1, sound: 2, noise: 3 } as const;

/** Draws four different colours and, independently, four different sounds. */
export function drawContents(random: Random): ClipContents {
  const pick = <T>(names: readonly T[]): T[] =>
    random
      .permutation(names.length)
      .slice(0, SLOTS)
      .map((at) => names[at]!);
  return { colours: pick(COLOUR_NAMES), sounds: pick(SOUNDS) };
}

/**
 * Returns the contents of clip `index` of generator `seed`, without making its frames and samples.
 */
export function clipContents(seed: number, index: number): ClipContents {
  return drawContents(new Random(seed, "clip", index, STREAM.contents));
}

/** Makes clip `index` of generator `seed`; the same two numbers always give the same clip. */
export function makeClip(seed: number, index: number): Clip {
  const contents = clipContents(seed, index);
  return {
    ...contents,
    frames: drawFrames(contents.colours, new Random(seed, "clip", index, STREAM.picture)),
    samples: playSounds(contents.sounds, new Random(seed, "clip", index, STREAM.sound)),
  };
}

/** One slot's picture: a flat background and a filled shape that moves in a straight line. */
interface Scene {
  background: number[];
  colour: number[];
  shape: number;
  halfSize: number;
  centre: [number, number];
  shift: [number, number];
}

function makeScene(colour: Colour, random: Random): Scene {
  const channels = [0, 1, 2];
  const tint = channels.map(() => random.uniform(15, 70));
  const grey = random.uniform(15, 60);
  const gain = random.uniform(0.85, 1.08);
  return {
    background: channels.map((channel) => 0.3 * tint[channel]! + 0.7 * grey),
    colour: channels.map((channel) =>
      clamp(COLOURS[colour][channel]! * gain + random.uniform(-18, 18)),
    ),
    halfSize: random.uniform(14, 21),
    centre: [28 + random.uniform(-8, 8), 28 + random.uniform(-8, 8)],
    shape: random.integer(3),
    shift: [random.uniform(-3, 3), random.uniform(-3, 3)],
  };
}

let noiseTable: Float32Array | undefined;

/**
 * 65,536 normal deviates that a frame's pixels pick from by 16 random bits each. A clip has 150,528
 * noisy values, and this takes a third of the time of drawing each anew.
 */
function noise(): Float32Array {
  if (noiseTable === undefined) {
    const random = new Random(0, "clip", 0, STREAM.noise);
    noiseTable = Float32Array.from({ length: 0x10000 }, () => random.normal());
  }
  return noiseTable;
}

function drawFrames(colours: readonly Colour[], random: Random): Uint8Array[] {
  const scenes = colours.map((colour) => makeScene(colour, random));
  const deviation = random.uniform(2, 10);
  return Array.from({ length: FRAME_COUNT }, (_, frame) => {
    const slot = Math.floor(frame / FRAMES_PER_SLOT);
    // The shift is measured between the two sampled frames of a slot, so it starts at the first.
    const moved = (frame - SAMPLED_FRAMES[2 * slot]!) / 2;
    return drawScene(scenes[slot]!, moved, deviation, random);
  });
}

function drawScene(scene: Scene, moved: number, deviation: number, random: Random): Uint8Array {
  const { background, colour, shape, halfSize, centre, shift } = scene;
  const pixels = new Uint8ClampedArray(FRAME_SIZE * FRAME_SIZE * 3);
  const table = noise();
  let bits = 0;
  for (let at = 0; at < pixels.length; at++) {
    const pixel = Math.floor(at / 3);
    const x = (pixel % FRAME_SIZE) - centre[0] - moved * shift[0];
    const y = Math.floor(pixel / FRAME_SIZE) - centre[1] - moved * shift[1];
    const value = isInside(shape, x, y, halfSize) ? colour : background;
    bits = at % 2 === 0 ? random.u32() : bits >>> 16;
    pixels[at] = value[at % 3]! + deviation * table[bits & 0xffff]!;
  }
  return new Uint8Array(pixels.buffer);
}

function isInside(shape: number, x: number, y: number, halfSize: number): boolean {
  if (shape === 0) return Math.abs(x) < halfSize && Math.abs(y) < halfSize;
  if (shape === 1) return x * x + y * y < (1.1 * halfSize) ** 2;
  return y < halfSize && y > -halfSize + 2 * Math.abs(x) - 2;
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, value));
}

function playSounds(sounds: readonly Sound[], random: Random): Float32Array {
  const samples = new Float32Array(SAMPLE_COUNT);
  const floor = random.uniform(0.001, 0.006);
  for (let n = 0; n < SAMPLE_COUNT; n++) samples[n] = random.normal(0, floor);
  sounds.forEach((sound, slot) => {
    const length = random.uniform(0.24, 0.34);
    const start = slot * SLOT_SECONDS + random.uniform(0.05, 0.46 - length);
    const amplitude = random.uniform(0.12, 0.5);
    const pitch = random.uniform(0.94, 1.06);
    const first = Math.floor(start * SAMPLE_RATE);
    const count = Math.floor(length * SAMPLE_RATE);
    for (let n = 0; n < count; n++) {
      const t = n / SAMPLE_RATE;
      const envelope = Math.min(1, Math.min(t, length - t) / RAMP_SECONDS);
      const wave = soundAt(sound, t, length, pitch, random);
      samples[first + n] = samples[first + n]! + amplitude * envelope * wave;
    }
  });
  return samples;
}

/** Returns the wave of a sound, `t` seconds after its start; `pitch` multiplies its frequencies. */
function soundAt(sound: Sound, t: number, length: number, pitch: number, random: Random): number {
  const turn = 2 * Math.PI * t;
  switch (sound) {
    case "horn": {
      let sum = 0;
      for (let harmonic = 1; harmonic <= 8; harmonic++) {
        sum += Math.sin(turn * 220 * pitch * harmonic) / harmonic;
      }
      return 0.6 * sum;
    }
    case "bell":
      return (
        (Math.sin(turn * 1200 * pitch) + 0.5 * Math.sin(turn * 2900 * pitch)) * Math.exp(-6 * t)
      );
    case "hiss":
      return random.normal(0, 0.5);
    case "chirp":
      return Math.sin(turn * pitch * (500 + (3000 * t) / (2 * length)));
    case "buzz":
      return 0.6 * Math.sign(Math.sin(turn * 90 * pitch));
    case "whistle":
      return Math.sin(turn * 2300 * pitch + 4 * Math.sin(turn * 11));
  }
}
