// Rows written by index: y[index[i] - first] = scale * source[i] (+ y) for indices in [first,
// first + dstRows), which must be distinct; other rows are skipped. A workgroup takes ROWS rows.

const WG: u32 = 64u;
const ROWS: u32 = 4u;
const ACCUMULATE: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  first: u32,
  dstRows: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;   // [rows, cols]
@group(0) @binding(1) var<storage, read> index: array<u32>;    // [rows]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [dstRows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    // An index below `first` wraps to a large number, so that one comparison serves both ends.
    let place = index[row] - params.first;
    let dst = place * params.cols;
    let cols = select(0u, params.cols, place < params.dstRows);
    for (var col = lane; col < cols; col = col + WG) {
      var value = params.scale * source[row * params.cols + col];
      if (ACCUMULATE) {
        value = value + y[dst + col];
      }
      y[dst + col] = value;
    }
  }
}
