// Gradient of softsign: dx = dy s / (1 + |s x|)^2.
// A thread takes PER elements, WG apart.

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
  sharpness: f32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [count]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;  // [count]
@group(0) @binding(3) var<uniform> params: Params;

fn element(i: u32) {
  let size = 1.0 + abs(params.sharpness * x[i]);
  dx[i] = dy[i] * params.sharpness / (size * size);
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
