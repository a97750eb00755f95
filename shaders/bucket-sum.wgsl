// Gradient of an embedding table: table[token[b] - first] += sum over j in [start[b], start[b + 1]) of
// dy[order[j] - dyFirst], in order, over rows of dy that are bound. One thread an element of a bucket's
// row; tokens are distinct.

const WG: u32 = 64u;
const ROWS: u32 = 4u;

struct Params {
  buckets: u32,
  cols: u32,
  first: u32,
  tableRows: u32,
  dyFirst: u32,
  dyRows: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;           // [dyRows, cols]
@group(0) @binding(1) var<storage, read> order: array<u32>;        // [start[buckets]]: rows of dy, bucket by bucket
@group(0) @binding(2) var<storage, read> start: array<u32>;        // [buckets + 1]
@group(0) @binding(3) var<storage, read> token: array<u32>;        // [buckets], distinct
@group(0) @binding(4) var<storage, read_write> table: array<f32>;  // [tableRows, cols]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.buckets, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    // A token below `first` wraps to a large number, so that one comparison serves both ends.
    let place = token[row] - params.first;
    let dst = place * params.cols;
    let cols = select(0u, params.cols, place < params.tableRows);
    let stop = start[row + 1u];
    for (var col = lane; col < cols; col = col + WG) {
      var sum = 0.0;
      for (var j = start[row]; j < stop; j = j + 1u) {
        sum = sum + dy[order[j] * params.cols + col];
      }
      table[dst + col] = table[dst + col] + sum;
    }
  }
}
