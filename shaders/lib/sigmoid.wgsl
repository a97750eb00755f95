// The logistic function. Below -80 it is held at e^-80 (2e-35): exp would overflow for larger
// arguments. Needs `at_least` of the nan library.

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-at_least(x, -80.0)));
}
