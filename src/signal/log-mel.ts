/*
 * Whisper's log-mel spectrogram, the input of all three audio towers.
 *
 * Frame t covers samples 160 t - 200 .. 160 t + 199 of the clip, mirrored at its left edge and
 * followed by silence up to `maxSamples`. Frames beyond the sound hold the floor, so they are
 * never transformed; the maximum that sets the floor is nevertheless that of the whole padded
 * spectrogram. The reference runs in f32; this f64 form agrees with it to 2e-5, and with the
 * reference's own f64 form to 1.2e-7.
 *
 * Source: WhisperFeatureExtractor._torch_extract_fbank_features of transformers 4.57.6.
 */
import { ShapeError } from "../core/errors.ts";
import { planPowerSpectrum } from "./fft.ts";

/** Samples from one frame to the next, 10 ms. */
export const HOP = 160;
/** Samples of a frame, 25 ms. */
const WINDOW = 400;

const BINS = WINDOW / 2 + 1;
const BIN_HZ = 40;
const FLOOR = 1e-10;
/** Decades below the loudest value of the clip at which the spectrogram is cut. */
const DYNAMIC_RANGE = 8;

/** How to make a spectrogram. */
export interface LogMelOptions {
  /** Mel bands. Default 128. */
  numMels?: number;
  /** The clip is cut after this many samples. Default 4800000 (300 s, Omni); Qwen2-Audio 480000. */
  maxSamples?: number;
  /** All frames, silence included: `frames` of maxSamples / 160. Default false. */
  padded?: boolean;
  /**
   * Frames wanted, 1 .. maxSamples / 160. Default: those that hold sound. The two after them may
   * still see its last samples; all others are `floor` and cost nothing. Qwen2-Audio is fed 3000.
   */
  frames?: number;
}

/** A log-mel spectrogram. */
export interface LogMel {
  /** [numMels, frames] f32. */
  data: Float32Array;
  numMels: number;
  frames: number;
  /** Frames that hold sound: min(ceil(n / 160), maxSamples / 160). */
  validFrames: number;
  /** The value of a frame of silence in this clip, which all frames beyond the sound hold. */
  floor: number;
  /** Samples beyond `maxSamples` that were not used. */
  droppedSamples: number;
}

/**
 * Computes the log-mel spectrogram of 16 kHz mono sound.
 *
 * Numerics: f64 throughout, mel weights rounded to f32, result f32.
 *
 * @throws {ShapeError} `log-mel-shape` when there are no samples, or `frames` is out of range.
 */
export function logMel(samples: Float32Array, options: LogMelOptions = {}): LogMel {
  const { numMels = 128, maxSamples = 4_800_000, padded = false } = options;
  if (samples.length === 0)
    throw new ShapeError("log-mel-shape", "There is no sound to transform.");
  const n = Math.min(samples.length, maxSamples);
  const allFrames = Math.floor(maxSamples / HOP);
  const validFrames = Math.min(Math.ceil(n / HOP), allFrames);
  const frames = options.frames ?? (padded ? allFrames : validFrames);
  if (!Number.isInteger(frames) || frames < 1 || frames > allFrames) {
    throw new ShapeError(
      "log-mel-shape",
      `${frames} frames are wanted of a spectrogram that has 1 to ${allFrames}.`,
    );
  }
  // Later frames than `sounding` see only silence; the first of them matters for the maximum only.
  const sounding = Math.min(Math.ceil((n + WINDOW / 2) / HOP), allFrames);
  const log = logSpectrogram(samples.subarray(0, n), maxSamples, sounding, melBank(numMels));

  let loudest = sounding < allFrames ? Math.log10(FLOOR) : -Infinity;
  for (const value of log) if (value > loudest) loudest = value;
  const cut = loudest - DYNAMIC_RANGE;
  const floor = Math.fround((Math.max(Math.log10(FLOOR), cut) + 4) / 4);
  const data = new Float32Array(numMels * frames);
  if (frames > sounding) data.fill(floor);
  const shared = Math.min(frames, sounding);
  for (let m = 0; m < numMels; m++) {
    for (let t = 0; t < shared; t++) {
      data[m * frames + t] = (Math.max(log[t * numMels + m]!, cut) + 4) / 4;
    }
  }
  return { data, numMels, frames, validFrames, floor, droppedSamples: samples.length - n };
}

/** [frames, numMels] log10 of the mel power, floored. */
function logSpectrogram(
  samples: Float32Array,
  paddedLength: number,
  frames: number,
  bank: MelBank,
): Float64Array {
  const spectrum = planPowerSpectrum(WINDOW);
  const frame = new Float64Array(WINDOW);
  const power = new Float64Array(BINS);
  const numMels = bank.length;
  const log = new Float64Array(frames * numMels);
  const last = paddedLength - 1;
  for (let t = 0; t < frames; t++) {
    const start = t * HOP - WINDOW / 2;
    for (let i = 0; i < WINDOW; i++) {
      let at = Math.abs(start + i);
      if (at > last) at = 2 * last - at;
      frame[i] = (samples[at] ?? 0) * HANN[i]!;
    }
    spectrum.run(frame, power);
    for (let m = 0; m < numMels; m++) {
      const { first, weights } = bank[m]!;
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * power[first + k]!;
      log[t * numMels + m] = Math.log10(Math.max(sum, FLOOR));
    }
  }
  return log;
}

/** The periodic Hann window. */
const HANN = Float64Array.from(
  { length: WINDOW },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW),
);

/** The triangles of a mel filter bank, each over the bins where it is not zero. */
export type MelBank = { first: number; weights: Float32Array }[];

const banks = new Map<number, MelBank>();

/** Slaney's mel filter bank over 0 .. 8000 Hz with area normalisation; weights are f32. */
export function melBank(numMels: number): MelBank {
  const known = banks.get(numMels);
  if (known) return known;
  const top = hzToMel(8000);
  const edges = Array.from({ length: numMels + 2 }, (_, i) => melToHz((top * i) / (numMels + 1)));
  const bank: MelBank = [];
  for (let m = 0; m < numMels; m++) {
    const [low, centre, high] = [edges[m]!, edges[m + 1]!, edges[m + 2]!];
    const row: number[] = [];
    let first = 0;
    for (let b = 0; b < BINS; b++) {
      const hz = b * BIN_HZ;
      const rise = (hz - low) / (centre - low);
      const fall = (high - hz) / (high - centre);
      const weight = (Math.max(0, Math.min(rise, fall)) * 2) / (high - low);
      if (weight === 0) continue;
      if (row.length === 0) first = b;
      row.push(weight);
    }
    bank.push({ first, weights: Float32Array.from(row) });
  }
  banks.set(numMels, bank);
  return bank;
}

function hzToMel(hz: number): number {
  return hz < 1000 ? (3 * hz) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4);
}

function melToHz(mel: number): number {
  return mel < 15 ? (200 * mel) / 3 : 1000 * Math.exp(((mel - 15) * Math.log(6.4)) / 27);
}
