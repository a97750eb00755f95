// The error function to 1.5e-7 absolute, and as much relative to erf itself near 0. Below 1: the
// odd polynomial x + x p(x^2), so that nothing cancels where erf is small. From 1 on: 1 -
// exp(q(x)), q fitted to ln(erfc) so that the error of 1 - exp(q) is equal over [1, 4]; from 4 on
// erf is 1 to the last digit of f32. Both fits are least squares reweighted towards equal error.
// Needs the nan library.

fn erf(x: f32) -> f32 {
  let a = min(abs(x), 4.0);
  let u = a * a;
  let p = 0.128379129 + u * (-0.376123561 + u * (0.112804138 + u * (-0.026717757
        + u * (0.00492483922 + u * -0.000566033608))));
  let q = -0.00267166314 + a * (-1.11743862 + a * (-0.654488756 + a * (-0.0886343041
        + a * (0.0147781633 + a * -0.00115042777))));
  return nan_if(is_nan(x), sign(x) * select(1.0 - exp(q), a + a * p, a < 1.0));
}
