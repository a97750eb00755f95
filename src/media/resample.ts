/*
 * Band-limited resampling by a windowed sinc, one row of filter taps per output phase, in f64.
 *
 * At a ratio up/down in lowest terms output i lies at input position i * down / up, so only `up`
 * different fractional positions occur. The filter is centred on each output: no shift.
 *
 * The filter is that of libsoxr's "HQ", which the reference (librosa) uses: flat up to 0.9136 of the
 * lower Nyquist frequency, nothing above it, 126 dB in between. libsoxr splits it into stages, so
 * results differ by a few parts in a million.
 */

/** Middle of the transition band, from 0.913628 to 1, as a share of the lower Nyquist frequency. */
const CUTOFF = 0.956814;
/** Kaiser's formula for an attenuation of 126.4 dB (21 bits): 0.1102 (A - 8.7). */
const KAISER_BETA = 12.97;
/**
 * Zero crossings of the sinc on each side, counted at the lower rate: Kaiser's length for that
 * attenuation, (A - 7.95) / (2.285 pi 0.086372), halved.
 */
const ZERO_CROSSINGS = 96;

const banks = new Map<string, FilterBank>();

/** The taps of every phase of one ratio. */
interface FilterBank {
  up: number;
  down: number;
  /** Taps on each side of the centre; a row has 2 * half. */
  half: number;
  /** [up, 2 * half]. */
  taps: Float64Array;
}

/**
 * Resamples a signal; silence is assumed before and after it.
 *
 * Output length: ceil(n * toHz / fromHz). Numerics: f64 taps and sums, rounded once to f32; equal
 * in Node and Chromium (same Math.sin). Pass band flat to 1e-4.
 *
 * @param fromHz - Positive integer rate of `samples`.
 * @param toHz - Positive integer rate of the result.
 */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return samples;
  const bank = bankFor(fromHz, toHz);
  const { up, down, half, taps } = bank;
  const length = Math.ceil((samples.length * up) / down);
  const out = new Float32Array(length);
  // Zeros on both sides spare the inner loop its bounds.
  const padded = new Float64Array(samples.length + 2 * half + 1);
  padded.set(samples, half);
  for (let i = 0; i < length; i++) {
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

function bankFor(fromHz: number, toHz: number): FilterBank {
  const key = `${fromHz}:${toHz}`;
  const known = banks.get(key);
  if (known) return known;
  const divisor = gcd(fromHz, toHz);
  const bank = makeBank(toHz / divisor, fromHz / divisor);
  banks.set(key, bank);
  return bank;
}

function makeBank(up: number, down: number): FilterBank {
  // Cycles per input sample, times 2: 1 is the input's own Nyquist frequency.
  const cutoff = Math.min(1, up / down) * CUTOFF;
  const reach = ZERO_CROSSINGS / Math.min(1, up / down);
  const half = Math.ceil(reach) + 1;
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
  return { up, down, half, taps };
}

/** The modified Bessel function of order 0, by its power series. */
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
