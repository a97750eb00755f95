/*
 * Which frames of a clip a model sees. The default is the rule of qwen-omni-utils and
 * qwen-vl-utils, exactly: smart_nframes, then torch.linspace(0, total - 1, n).round().long().
 */
import { DataError } from "../core/errors.ts";
import { roundHalfEven } from "../signal/resize.ts";
import type { FrameChoice, FrameInfo } from "./types.ts";

const FRAME_FACTOR = 2;
const DEFAULT_FPS = 2;
const FPS_MIN_FRAMES = 4;
const FPS_MAX_FRAMES = 768;

/** How many frames to take. `nframes` and `fps` exclude each other. */
export interface QwenFrameOptions {
  /** Frames per second of the clip. Default 2. */
  fps?: number;
  /** Takes this many frames, rounded to an even number, whatever the length. */
  nframes?: number;
  /** Never fewer, with `fps`. Default 4. */
  minFrames?: number;
  /** Never more, with `fps`. Default 768. */
  maxFrames?: number;
}

/**
 * Returns the number of frames that Qwen's own preparation takes: even, 2 .. totalFrames.
 *
 * @throws {DataError} `media-frame-choice` when both rules are given or no even number fits.
 * Source: smart_nframes of qwen-omni-utils/v2_5/vision_process.py, QwenLM/Qwen2.5-Omni f8bf58c.
 */
export function qwenFrameCount(info: FrameInfo, options: QwenFrameOptions = {}): number {
  const { totalFrames } = info;
  if (options.nframes !== undefined) return askedCount(totalFrames, options);
  const least = evenUp(options.minFrames ?? FPS_MIN_FRAMES);
  const most = evenDown(options.maxFrames ?? Math.min(FPS_MAX_FRAMES, totalFrames));
  const wanted = (totalFrames / info.fps) * (options.fps ?? DEFAULT_FPS);
  const count = evenDown(Math.min(Math.max(wanted, least), most, totalFrames));
  return possible(count, totalFrames);
}

/**
 * Returns the number of frames that the sampler inside the HF processors wants. Differs from
 * `qwenFrameCount` where `minFrames` is odd: here it is not rounded up first.
 *
 * @throws {DataError} `media-frame-choice` when both rules are given or no even number fits.
 * Source: Qwen2VLVideoProcessor.sample_frames of transformers 4.57.6.
 */
function hfFrameCount(info: FrameInfo, options: QwenFrameOptions = {}): number {
  const { totalFrames } = info;
  if (options.nframes !== undefined) return askedCount(totalFrames, options);
  const least = options.minFrames ?? FPS_MIN_FRAMES;
  const most = evenDown(Math.min(options.maxFrames ?? FPS_MAX_FRAMES, totalFrames));
  const wanted = (totalFrames / info.fps) * (options.fps ?? DEFAULT_FPS);
  const count = evenDown(Math.min(Math.max(wanted, least), most, totalFrames));
  return possible(count, totalFrames);
}

function askedCount(totalFrames: number, { nframes, fps }: QwenFrameOptions): number {
  if (fps !== undefined) {
    throw new DataError("media-frame-choice", `fps ${fps} and nframes ${nframes} are both given.`, {
      hint: "Give one of the two.",
    });
  }
  return possible(roundHalfEven(nframes! / FRAME_FACTOR) * FRAME_FACTOR, totalFrames, nframes);
}

function possible(count: number, totalFrames: number, nframes?: number): number {
  if (count >= FRAME_FACTOR && count <= totalFrames) return count;
  if (totalFrames < FRAME_FACTOR) {
    const has = totalFrames === 1 ? "one frame" : `${totalFrames} frames`;
    const what = `the clip has ${has}, and a video needs at least ${FRAME_FACTOR}`;
    throw new DataError("media-frame-choice", `${what}.`, {
      hint: "Give it as a picture, or leave the row out.",
    });
  }
  const asked = nframes === undefined ? `${count} frames are chosen` : `nframes is ${nframes}`;
  const most = totalFrames - (totalFrames % FRAME_FACTOR);
  throw new DataError("media-frame-choice", `${asked}, but the clip has ${totalFrames} frames.`, {
    hint: `Set nframes to a number from ${FRAME_FACTOR} to ${most}.`,
  });
}

/**
 * Returns the frame choice of qwen-omni-utils: evenly spaced, the first and the last frame
 * included.
 */
export function qwenFrames(options: QwenFrameOptions = {}): FrameChoice {
  return (info) => spacedIndices(info.totalFrames, qwenFrameCount(info, options));
}

/**
 * Returns the sampler inside the HF processors (`do_sample_frames`): the last frame is not reached,
 * and float32 rounding can give one index more than the count.
 *
 * Source: sample_frames of transformers 4.57.6, `torch.arange(0, total, total / n).int()`.
 */
export function hfFrames(options: QwenFrameOptions = {}): FrameChoice {
  return (info) => hfIndices(info.totalFrames, hfFrameCount(info, options));
}

/** Returns every frame of the clip. */
export function allFrames(): FrameChoice {
  return ({ totalFrames }) => Array.from({ length: totalFrames }, (_, i) => i);
}

/**
 * Returns the frames per second that the model effectively sees, after the choice of `count`
 * frames.
 */
export function sampledFps(info: FrameInfo, count: number): number {
  return (count / info.totalFrames) * info.fps;
}

/**
 * `torch.linspace(0, total - 1, count).round().long()` bit for bit: steps in float32, the second
 * half counted from the end, each value one fused multiply-add, then rounded half to even.
 */
export function spacedIndices(total: number, count: number): number[] {
  const end = total - 1;
  const step = Math.fround(end / (count - 1));
  const indices: number[] = [];
  for (let i = 0; i < count; i++) {
    // A product of two float32 is exact in a double, so rounding the sum once is the fused form.
    const value = i < Math.floor(count / 2) ? step * i : end - step * (count - 1 - i);
    indices.push(roundHalfEven(Math.fround(value)));
  }
  return indices;
}

/**
 * `torch.arange(0, total, total / count)` in float32, truncated, bit for bit: the CPU kernel fills
 * pairs of blocks of eight, each from a rounded base, and what is left one by one.
 */
export function hfIndices(total: number, count: number): number[] {
  const block = 8;
  const step = total / count;
  const length = Math.ceil(total / step);
  const inBlocks = length - (length % (2 * block));
  return Array.from({ length }, (_, i) => {
    const base = i < inBlocks ? i - (i % block) : i;
    return Math.trunc(Math.fround(Math.fround(base * step) + (i - base) * step));
  });
}

function evenUp(value: number): number {
  return Math.ceil(value / FRAME_FACTOR) * FRAME_FACTOR;
}

function evenDown(value: number): number {
  return Math.floor(value / FRAME_FACTOR) * FRAME_FACTOR;
}
