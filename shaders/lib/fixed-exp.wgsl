// exp of a non-positive number in integer arithmetic, the twin of src/reference/fixed-exp.ts bit for
// bit: the sampler's choices must not depend on a driver's exp, on fused multiply-adds or on the
// order of float sums. Needs `mul_hi` of the philox library.

const EXP_TABLE = array<u32, 16>(
  2147483648u, 2056437387u, 1969251188u, 1885761398u, 1805811301u, 1729250827u, 1655936265u,
  1585730000u, 1518500250u, 1454120821u, 1392470869u, 1333434672u, 1276901417u, 1222764986u,
  1170923762u, 1121280436u,
); // round(2^31 * 2^(-j / 16))

// round(2^30 * exp(-d)) for d >= 0, to a relative 8e-8 (d is cut to 2^-24) or half a unit; 0 beyond d = 24.
fn fixed_exp(d: f32) -> u32 {
  if (d >= 24.0) {
    return 0u;
  }
  // d in 2^-27, times log2(e) in 2^-31, is the binary exponent in 2^-26.
  let scaled = mul_hi(u32(d * 16777216.0) << 3u, 3098164009u);
  let shift = scaled >> 26u;
  let a = mul_hi((scaled & 0x3fffffu) << 6u, 2977044472u); // rest * ln(2), below 0.0434, in 2^-32
  // exp(-a) = 1 - a (1 - a/2 (1 - a/3 (1 - a/4 (1 - a/5)))), in 2^-31.
  let one = 0x80000000u;
  var series = one - mul_hi(a, one) / 5u;
  series = one - mul_hi(a, series) / 4u;
  series = one - mul_hi(a, series) / 3u;
  series = one - mul_hi(a, series) / 2u;
  series = one - mul_hi(a, series);
  let mantissa = mul_hi(EXP_TABLE[(scaled >> 22u) & 15u], series);
  let half = select(0u, (1u << shift) >> 1u, shift > 0u);
  return select((mantissa + half) >> min(shift, 31u), 0u, shift > 31u);
}
