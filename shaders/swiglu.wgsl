// SwiGLU's pointwise part (Shazeer 2020, eq. 5): y = silu(gate) * up. A thread takes PER elements,
// WG apart.
// uses: sigmoid, nan

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> gate: array<f32>;     // [count]
@group(0) @binding(1) var<storage, read> up: array<f32>;       // [count]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(3) var<uniform> params: Params;

fn element(i: u32) {
  y[i] = gate[i] * sigmoid(gate[i]) * up[i];
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
