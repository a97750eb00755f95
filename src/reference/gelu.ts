/**
 * The error function, to about ten units in the last place of float64.
 *
 * Source: Abramowitz and Stegun 7.1.6, a series of positive terms.
 */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/**
 * GELU with the error function: x * (1 + erf(x / sqrt(2))) / 2.
 *
 * Source: Hendrycks and Gimpel 2016; torch.nn.GELU with approximate="none".
 */
export function gelu(x: Float64Array): Float64Array {
  return x.map((value) => 0.5 * value * (1 + erf(value * Math.SQRT1_2)));
}

/** Gradient of `gelu`: dy * (Phi(x) + x * phi(x)), the normal distribution and its density. */
export function geluBackward(dy: Float64Array, x: Float64Array): Float64Array {
  return x.map((value, i) => {
    const distribution = 0.5 * (1 + erf(value * Math.SQRT1_2));
    const density = Math.exp(-0.5 * value * value) / Math.sqrt(2 * Math.PI);
    return dy[i]! * (distribution + value * density);
  });
}
