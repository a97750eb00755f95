// Softsign (Turian et al. 2009) of a given sharpness: y = s x / (1 + |s x|).
// A thread takes PER elements, WG apart.

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
  sharpness: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<uniform> params: Params;

fn element(i: u32) {
  let scaled = params.sharpness * x[i];
  y[i] = scaled / (1.0 + abs(scaled));
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
