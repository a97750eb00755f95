// Rows plus rows of a table: y[i] = x[i] + table[index[i]]. One thread an element.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, cols]
@group(0) @binding(1) var<storage, read> table: array<f32>;    // [tableRows, cols]
@group(0) @binding(2) var<storage, read> index: array<u32>;    // [rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, cols]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.cols) {
    return;
  }
  y[i] = x[i] + table[index[i / params.cols] * params.cols + i % params.cols];
}
