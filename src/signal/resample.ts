/*
 * Band-limited resampling by a windowed sinc, centred on each output (no shift), in f64.
 *
 * At a ratio up/down in lowest terms output i lies at input position i * down / up, so only `up`
 * different fractional positions occur. Where that makes a small bank of filters, as for every
 * common rate, they are computed once. A file may state any rate, and 44101 Hz has 16000 positions
 * of 532 taps: there each output's taps are read between the points of one table of the filter.
 *
 * The filter is that of libsoxr's "HQ", which the reference (librosa) uses: flat up to 0.9136 of the
 * lower Nyquist frequency, nothing above it, 126 dB in between. libsoxr splits it into stages, so
 * results differ by a few parts in a million.
 */
import { DataError } from "../core/errors.ts";
import { beat } from "../core/progress.ts";

/** Middle of the transition band, from 0.913628 to 1, as a share of the lower Nyquist frequency. */
const CUTOFF = 0.956814;
/** Kaiser's formula for an attenuation of 126.4 dB (21 bits): 0.1102 (A - 8.7). */
const KAISER_BETA = 12.97;
/**
 * Zero crossings of the sinc on each side, counted at the lower rate: Kaiser's length for that
 * attenuation, (A - 7.95) / (2.285 pi 0.086372), halved.
 */
const ZERO_CROSSINGS = 96;

/** Taps of all phases above which no bank is made: 16 MiB. */
const MAX_BANK_TAPS = 1 << 21;
/** Banks that are kept; the one used longest ago goes first. */
const MAX_BANKS = 4;
/** Points of the filter's table between two zero crossings; odd, so that taps share no cache lines. */
const TABLE_POINTS = 4095;
/** Outputs between two signs of life. */
const OUTPUTS_PER_BEAT = 1 << 16;

/** The lowest and the highest rate in Hz that a file may state. */
const RATES = { min: 1000, max: 768_000 };

const banks = new Map<string, FilterBank>();
let filterTable: Float64Array | undefined;

/** A ratio of rates in lowest terms, and how far its filter reaches. */
interface Ratio {
  up: number;
  down: number;
  /** Inputs on each side of the centre beyond which the filter is 0. */
  reach: number;
  /** Taps on each side of the centre. */
  half: number;
}

/** The taps of every phase of one ratio. */
interface FilterBank extends Ratio {
  /** [up, 2 * half]. */
  taps: Float64Array;
}

/**
 * Checks the rate that a file states: a damaged header says anything, and work and memory follow it.
 *
 * @throws {DataError} `media-sample-rate` outside 1000 to 768000 Hz.
 */
export function checkSampleRate(hz: number, file: string): void {
  if (Number.isInteger(hz) && hz >= RATES.min && hz <= RATES.max) return;
  throw new DataError(
    "media-sample-rate",
    `${file} states a sample rate of ${hz} Hz; ${RATES.min} to ${RATES.max} Hz are read.`,
    { hint: "The file is damaged, or it is no sound: re-encode it at 16000 Hz, or leave it out." },
  );
}

/**
 * Resamples a signal; silence is assumed before and after it.
 *
 * Output length: ceil(n * toHz / fromHz). Numerics: f64 taps and sums, rounded once to f32; equal
 * in Node and Chromium (same Math.sin). Pass band flat to 1e-4. Time and memory follow the lengths
 * of input and output, whatever the rates.
 *
 * @param fromHz - Positive integer rate of `samples`.
 * @param toHz - Positive integer rate of the result.
 */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return samples;
  const ratio = ratioOf(fromHz, toHz);
  const { up, down, half } = ratio;
  const length = Math.ceil((samples.length * up) / down);
  // Zeros on both sides spare the inner loop its bounds.
  const padded = new Float64Array(samples.length + 2 * half + 1);
  padded.set(samples, half);
  return up * 2 * half <= MAX_BANK_TAPS
    ? fromBank(padded, length, bankFor(ratio))
    : fromTable(padded, length, ratio);
}

function fromBank(padded: Float64Array, length: number, { up, down, half, taps }: FilterBank) {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    if (i % OUTPUTS_PER_BEAT === 0) beat();
    const position = i * down;
    const phase = position % up;
    const row = phase * 2 * half;
    // Tap 0 belongs to input floor(position / up) - half + 1.
    const first = (position - phase) / up + 1;
    let sum = 0;
    for (let k = 0; k < 2 * half; k++) sum += taps[row + k]! * padded[first + k]!;
    out[i] = sum;
  }
  return out;
}

/** Filters with taps that are read between the points of the table: within 1e-7 of a bank's. */
function fromTable(padded: Float64Array, length: number, { up, down, half }: Ratio) {
  const table = (filterTable ??= makeTable());
  const out = new Float32Array(length);
  const perInput = Math.min(1, up / down) * TABLE_POINTS;
  const end = ZERO_CROSSINGS * TABLE_POINTS;
  for (let i = 0; i < length; i++) {
    if (i % OUTPUTS_PER_BEAT === 0) beat();
    const position = i * down;
    const phase = position % up;
    const first = (position - phase) / up + 1;
    const centre = half - 1 + phase / up;
    let sum = 0;
    let taps = 0;
    for (let k = 0; k < 2 * half; k++) {
      const at = Math.abs(k - centre) * perInput;
      if (at >= end) continue;
      const point = at | 0;
      const left = table[point]!;
      const tap = left + (at - point) * (table[point + 1]! - left);
      taps += tap;
      sum += tap * padded[first + k]!;
    }
    out[i] = sum / taps;
  }
  return out;
}

function bankFor(ratio: Ratio): FilterBank {
  const key = `${ratio.up}:${ratio.down}`;
  const bank = banks.get(key) ?? makeBank(ratio);
  banks.delete(key);
  banks.set(key, bank);
  if (banks.size > MAX_BANKS) banks.delete(banks.keys().next().value!);
  return bank;
}

function ratioOf(fromHz: number, toHz: number): Ratio {
  const divisor = gcd(fromHz, toHz);
  const [up, down] = [toHz / divisor, fromHz / divisor];
  const reach = ZERO_CROSSINGS / Math.min(1, up / down);
  return { up, down, reach, half: Math.ceil(reach) + 1 };
}

function makeBank({ up, down, reach, half }: Ratio): FilterBank {
  // Cycles per input sample, times 2: 1 is the input's own Nyquist frequency.
  const cutoff = Math.min(1, up / down) * CUTOFF;
  const taps = new Float64Array(up * 2 * half);
  const windowPeak = besselI0(KAISER_BETA);
  for (let phase = 0; phase < up; phase++) {
    const row = phase * 2 * half;
    let sum = 0;
    for (let k = 0; k < 2 * half; k++) {
      const distance = k - half + 1 - phase / up;
      const edge = distance / reach;
      if (Math.abs(edge) >= 1) continue;
      const x = Math.PI * cutoff * distance;
      const sinc = distance === 0 ? 1 : Math.sin(x) / x;
      const window = besselI0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / windowPeak;
      taps[row + k] = sinc * window;
      sum += taps[row + k]!;
    }
    // Every phase passes a constant unchanged: no ripple at the rate of the phases.
    for (let k = 0; k < 2 * half; k++) taps[row + k]! /= sum;
  }
  return { up, down, reach, half, taps };
}

/** Half of the filter, from its centre, over distances in zero crossings of the lower rate. */
function makeTable(): Float64Array {
  const table = new Float64Array(ZERO_CROSSINGS * TABLE_POINTS + 2);
  table[0] = 1;
  for (let i = 1; i < ZERO_CROSSINGS * TABLE_POINTS; i++) {
    const x = (Math.PI * CUTOFF * i) / TABLE_POINTS;
    const edge = i / (ZERO_CROSSINGS * TABLE_POINTS);
    const window = besselI0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / besselI0(KAISER_BETA);
    table[i] = (Math.sin(x) / x) * window;
  }
  return table;
}

/** Returns the modified Bessel function of order 0, by its power series. */
function besselI0(x: number): number {
  const quarter = (x * x) / 4;
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
