// Writes the keys and values of the current step, state[0], to each branch's suffix. One thread an
// element. A step at or beyond the capacity writes nothing.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  width: u32,
  capacity: u32,
}

@group(0) @binding(0) var<storage, read> k: array<f32>;              // [rows, width]
@group(0) @binding(1) var<storage, read> v: array<f32>;              // [rows, width]
@group(0) @binding(2) var<storage, read> state: array<u32>;          // [0]: current step
@group(0) @binding(3) var<storage, read_write> suffixK: array<f32>;  // [rows, capacity, width]
@group(0) @binding(4) var<storage, read_write> suffixV: array<f32>;  // [rows, capacity, width]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let index = (wg.x + wg.y * grid.x) * WG + lane;
  let step = state[0];
  if (index >= params.rows * params.width || step >= params.capacity) {
    return;
  }
  let row = index / params.width;
  let at = (row * params.capacity + step) * params.width + index % params.width;
  suffixK[at] = k[index];
  suffixV[at] = v[index];
}
