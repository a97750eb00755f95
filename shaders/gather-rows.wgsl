// Rows of a table by index: y[i] = scale * weight[index[i] - first] (+ y). A row whose index lies
// outside [first, first + srcRows) becomes zero, or stays as it is with KEEP. A workgroup takes
// ROWS rows; the table may have any weight storage.
// uses: weight

const WG: u32 = 64u;
const ROWS: u32 = 4u;
const KEEP: bool = false;
const ACCUMULATE: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  first: u32,
  srcRows: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> weight: array<WeightWord>;  // [srcRows, cols]
@group(0) @binding(1) var<storage, read> index: array<u32>;          // [rows]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;        // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    // An index below `first` wraps to a large number, so that one comparison serves both ends.
    let place = index[row] - params.first;
    let found = place < params.srcRows;
    let src = min(place, params.srcRows - 1u) * weight_stride(params.cols);
    let dst = row * params.cols;
    for (var col = lane; col < params.cols; col = col + WG) {
      if (found) {
        var value = params.scale * load_weight(src + col);
        if (ACCUMULATE) {
          value = value + y[dst + col];
        }
        y[dst + col] = value;
      } else if (!KEEP && !ACCUMULATE) {
        y[dst + col] = 0.0;
      }
    }
  }
}
