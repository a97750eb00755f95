// erf to 1.5e-7 absolute: Abramowitz and Stegun 7.1.26 would give that with five terms; here the
// rational form of W. J. Cody (1969, "Rational Chebyshev approximations for the error function")
// is not needed, since f32 has no more digits.

fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - poly * exp(-a * a));
}
