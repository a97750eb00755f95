// NaN and infinities by their bits. WGSL lets a driver assume that there are none: comparisons with
// NaN are open, and max, min and clamp may return the other operand, which hides it.

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// NaN or +inf, one of which makes a whole softmax NaN; a -inf among others only has no weight.
fn breaks_softmax(x: f32) -> bool {
  let bits = bitcast<u32>(x);
  return (bits & 0x7f800000u) == 0x7f800000u && bits != 0xff800000u;
}

fn nan_if(broken: bool, otherwise: f32) -> f32 {
  return bitcast<f32>(select(bitcast<u32>(otherwise), 0x7fc00000u, broken));
}

fn minus_inf_if(empty: bool, otherwise: f32) -> f32 {
  return bitcast<f32>(select(bitcast<u32>(otherwise), 0xff800000u, empty));
}

// max(x, low) that keeps NaN.
fn at_least(x: f32, low: f32) -> f32 {
  return nan_if(is_nan(x), max(x, low));
}
