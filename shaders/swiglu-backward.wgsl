// SwiGLU's pointwise part, gradients: dup = dy * silu(gate), dgate = dy * up * silu'(gate).
// A thread takes PER elements, WG apart.
// uses: sigmoid, nan

const WG: u32 = 64u;
const PER: u32 = 8u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;           // [count]
@group(0) @binding(1) var<storage, read> gate: array<f32>;         // [count]
@group(0) @binding(2) var<storage, read> up: array<f32>;           // [count]
@group(0) @binding(3) var<storage, read_write> dgate: array<f32>;  // [count]
@group(0) @binding(4) var<storage, read_write> dup: array<f32>;    // [count]
@group(0) @binding(5) var<uniform> params: Params;

fn element(i: u32) {
  let g = gate[i];
  let s = sigmoid(g);
  dup[i] = dy[i] * g * s;
  dgate[i] = dy[i] * up[i] * s * (1.0 + g * (1.0 - s));
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
