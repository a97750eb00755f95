// GELU with the error function (Hendrycks and Gimpel 2016): y = x * (1 + erf(x / sqrt(2))) / 2.
// A thread takes PER elements, WG apart.
// uses: erf, nan

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<uniform> params: Params;

fn element(i: u32) {
  y[i] = 0.5 * x[i] * (1.0 + erf(x[i] * 0.70710678118));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let start = (wg.x + wg.y * grid.x) * (WG * PER) + lane;
  for (var e = 0u; e < PER; e = e + 1u) {
    let i = start + e * WG;
    if (i < params.count) {
      element(i);
    }
  }
}
