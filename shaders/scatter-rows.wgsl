// Rows written by index: y[index[i] - first] = scale * source[i] (+ y) for indices in
// [first, first + dstRows), which must be distinct; other rows are skipped. One thread an element.

const WG: u32 = 64u;
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
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.cols) {
    return;
  }
  // An index below `first` wraps to a large number, so that one comparison serves both ends.
  let row = index[i / params.cols] - params.first;
  if (row >= params.dstRows) {
    return;
  }
  let at = row * params.cols + i % params.cols;
  var value = params.scale * source[i];
  if (ACCUMULATE) {
    value = value + y[at];
  }
  y[at] = value;
}
