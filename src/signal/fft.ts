/*
 * The power spectrum of a real signal of fixed even length, in f64.
 *
 * Two neighbouring samples form one complex number, a Stockham transform of half the length runs
 * over its prime factors (no bit reversal), and the halves are separated at the end. All twiddle
 * factors are tables: at length 400 a transform is about 13,000 multiply-adds.
 */

/** One stage of the transform: its radix and the combined factors for every (p, k, j). */
interface Stage {
  radix: number;
  /** Butterflies per stride. */
  m: number;
  stride: number;
  /** [m, radix (k), radix (j)], each w_radix^(jk) * w_n^(pk). */
  re: Float64Array;
  im: Float64Array;
}

/** A planned transform. */
export interface PowerSpectrum {
  /** Samples per transform. */
  length: number;
  /** Writes |X_k|^2 for k = 0 .. length/2 into `power`. */
  run: (signal: Float64Array, power: Float64Array) => void;
}

/** Plans the power spectrum of real signals of `length` samples; `length` is even. */
export function planPowerSpectrum(length: number): PowerSpectrum {
  const half = length / 2;
  const stages = planStages(half);
  const separate = unitCircle(length);
  let re = new Float64Array(half);
  let im = new Float64Array(half);
  let re2 = new Float64Array(half);
  let im2 = new Float64Array(half);
  const run = (signal: Float64Array, power: Float64Array): void => {
    for (let i = 0; i < half; i++) {
      re[i] = signal[2 * i]!;
      im[i] = signal[2 * i + 1]!;
    }
    for (const stage of stages) {
      runStage(stage, re, im, re2, im2);
      [re, re2] = [re2, re];
      [im, im2] = [im2, im];
    }
    for (let k = 0; k <= half; k++) {
      const a = k % half;
      const b = (half - k) % half;
      // Even samples have the spectrum E, odd ones O; X_k = E + w^k O.
      const evenRe = (re[a]! + re[b]!) / 2;
      const evenIm = (im[a]! - im[b]!) / 2;
      const oddRe = (im[a]! + im[b]!) / 2;
      const oddIm = (re[b]! - re[a]!) / 2;
      const wRe = separate.re[k]!;
      const wIm = separate.im[k]!;
      const xRe = evenRe + wRe * oddRe - wIm * oddIm;
      const xIm = evenIm + wRe * oddIm + wIm * oddRe;
      power[k] = xRe * xRe + xIm * xIm;
    }
  };
  return { length, run };
}

function planStages(length: number): Stage[] {
  const stages: Stage[] = [];
  let n = length;
  let stride = 1;
  while (n > 1) {
    const radix = n % 4 === 0 ? 4 : smallestFactor(n);
    const m = n / radix;
    const re = new Float64Array(n * radix);
    const im = new Float64Array(n * radix);
    const circle = unitCircle(n);
    for (let p = 0; p < m; p++) {
      for (let k = 0; k < radix; k++) {
        for (let j = 0; j < radix; j++) {
          const turn = ((j * m + p) * k) % n;
          re[(p * radix + k) * radix + j] = circle.re[turn]!;
          im[(p * radix + k) * radix + j] = circle.im[turn]!;
        }
      }
    }
    stages.push({ radix, m, stride, re, im });
    n = m;
    stride *= radix;
  }
  return stages;
}

function runStage(
  { radix, m, stride, re: wRe, im: wIm }: Stage,
  re: Float64Array,
  im: Float64Array,
  outRe: Float64Array,
  outIm: Float64Array,
): void {
  let w = 0;
  for (let p = 0; p < m; p++) {
    for (let k = 0; k < radix; k++, w += radix) {
      const to = stride * (radix * p + k);
      for (let q = 0; q < stride; q++) {
        let sumRe = 0;
        let sumIm = 0;
        let at = q + stride * p;
        for (let j = 0; j < radix; j++, at += stride * m) {
          const xRe = re[at]!;
          const xIm = im[at]!;
          const cRe = wRe[w + j]!;
          const cIm = wIm[w + j]!;
          sumRe += xRe * cRe - xIm * cIm;
          sumIm += xRe * cIm + xIm * cRe;
        }
        outRe[to + q] = sumRe;
        outIm[to + q] = sumIm;
      }
    }
  }
}

/** exp(-2 pi i k / n) for k = 0 .. n-1. */
function unitCircle(n: number): { re: Float64Array; im: Float64Array } {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    re[k] = Math.cos((2 * Math.PI * k) / n);
    im[k] = -Math.sin((2 * Math.PI * k) / n);
  }
  return { re, im };
}

function smallestFactor(n: number): number {
  for (let f = 2; f * f <= n; f++) if (n % f === 0) return f;
  return n;
}
