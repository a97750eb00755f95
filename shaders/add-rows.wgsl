// Rows plus rows of a table: y[i] = x[i] + table[index[i]]. A workgroup takes ROWS rows.

const WG: u32 = 64u;
const ROWS: u32 = 4u;

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
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    let src = index[row] * params.cols;
    let dst = row * params.cols;
    for (var col = lane; col < params.cols; col = col + WG) {
      y[dst + col] = x[dst + col] + table[src + col];
    }
  }
}
