// Mean of two neighbouring rows: y[i] = (x[first[i]] + x[first[i] + 1]) / 2. A workgroup takes
// ROWS rows.

const WG: u32 = 64u;
const ROWS: u32 = 4u;

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
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    let src = first[row] * params.cols;
    let dst = row * params.cols;
    for (var col = lane; col < params.cols; col = col + WG) {
      y[dst + col] = 0.5 * (x[src + col] + x[src + params.cols + col]);
    }
  }
}
