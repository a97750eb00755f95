// GELU, gradient: dx = dy * (Phi(x) + x * phi(x)), Phi and phi being the normal distribution and
// density. A thread takes PER elements, WG apart.
// uses: erf, nan

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [count]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;  // [count]
@group(0) @binding(3) var<uniform> params: Params;

fn element(i: u32) {
  let value = x[i];
  let distribution = 0.5 * (1.0 + erf(value * 0.70710678118));
  let density = 0.39894228040 * exp(-0.5 * value * value);
  dx[i] = dy[i] * (distribution + value * density);
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
