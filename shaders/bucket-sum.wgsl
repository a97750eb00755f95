// Gradient of an embedding table: table[token[b] - first] += sum over j in [start[b], start[b + 1])
// of dy[order[j] - dyFirst], over rows of dy that are bound. The sum starts from the table and goes
// in order, so that ascending chunks of dy (with rows ascending in a bucket) give the bits of one
// call. A workgroup takes ROWS buckets; tokens are distinct.

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
@group(0) @binding(1) var<storage, read> order: array<u32>;        // rows of dy, bucket by bucket
@group(0) @binding(2) var<storage, read> start: array<u32>;        // [buckets + 1]
@group(0) @binding(3) var<storage, read> token: array<u32>;        // [buckets], distinct
@group(0) @binding(4) var<storage, read_write> table: array<f32>;  // [tableRows, cols]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.buckets, (group + 1u) * ROWS);
  for (var bucket = group * ROWS; bucket < end; bucket = bucket + 1u) {
    // A token below `first` wraps to a large number, so that one comparison serves both ends.
    let place = token[bucket] - params.first;
    let dst = place * params.cols;
    let cols = select(0u, params.cols, place < params.tableRows);
    let stop = start[bucket + 1u];
    for (var col = lane; col < cols; col = col + WG) {
      var sum = table[dst + col];
      for (var j = start[bucket]; j < stop; j = j + 1u) {
        let source = order[j] - params.dyFirst;
        if (source < params.dyRows) {
          sum = sum + dy[source * params.cols + col];
        }
      }
      table[dst + col] = sum;
    }
  }
}
