// Columns of one matrix into another: y[r, dstFirst + c] = x[r, srcFirst + c] for c < cols, or 0
// with ZERO; the other columns of y stay as they are. A workgroup takes ROWS rows.

const WG: u32 = 64u;
const ROWS: u32 = 4u;
const ZERO: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  srcCols: u32,
  srcFirst: u32,
  dstCols: u32,
  dstFirst: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, srcCols]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [rows, dstCols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    let src = row * params.srcCols + params.srcFirst;
    let dst = row * params.dstCols + params.dstFirst;
    for (var col = lane; col < params.cols; col = col + WG) {
      if (ZERO) {
        y[dst + col] = 0.0;
      } else {
        y[dst + col] = x[src + col];
      }
    }
  }
}
