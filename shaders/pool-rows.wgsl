// Mean of two neighbouring rows: y[i] = (x[first[i]] + x[first[i] + 1]) / 2. One thread an element.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rowsIn, cols]
@group(0) @binding(1) var<storage, read> first: array<u32>;    // [rows]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.cols) {
    return;
  }
  let at = first[i / params.cols] * params.cols + i % params.cols;
  y[i] = 0.5 * (x[at] + x[at + params.cols]);
}
