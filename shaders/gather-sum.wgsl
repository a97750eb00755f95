// Gradient of a gather with repeated rows: y[i, :] = sum over j in [start[first + i], start[first + i + 1])
// of x[order[j] - xFirst, :], in that order, over rows of x that are bound; with ACCUMULATE y starts from
// what it holds, so that x in chunks gives the same bits as x in one. One thread an element.

const WG: u32 = 64u;
const ACCUMULATE: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  first: u32,
  xFirst: u32,
  xRows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [xRows, cols]
@group(0) @binding(1) var<storage, read> order: array<u32>;     // gathered rows, grouped by i
@group(0) @binding(2) var<storage, read> start: array<u32>;     // [first + rows + 1, or more]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [rows, cols]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let element = (wg.x + wg.y * grid.x) * WG + lane;
  if (element >= params.rows * params.cols) {
    return;
  }
  let row = element / params.cols;
  let col = element % params.cols;
  var sum = 0.0;
  if (ACCUMULATE) {
    sum = y[element];
  }
  let end = start[params.first + row + 1u];
  for (var j = start[params.first + row]; j < end; j = j + 1u) {
    // A row below `xFirst` wraps to a large number, so that one comparison serves both ends.
    let source = order[j] - params.xFirst;
    if (source < params.xRows) {
      sum = sum + x[source * params.cols + col];
    }
  }
  y[element] = sum;
}
