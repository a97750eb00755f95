// Sums of columns over blocks of rows: output[b, c] = scale * sum over the block's rows r of
// input[r, c] (+ output). One thread an output, rows in order; a second call over the blocks ends
// the sum.

const WG: u32 = 64u;
const ACCUMULATE: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  rowsPerBlock: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> input: array<f32>;         // [rows, cols]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;  // [blocks, cols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  let block = i / params.cols;
  let col = i % params.cols;
  if (block * params.rowsPerBlock >= params.rows) {
    return;
  }
  let end = min(params.rows, (block + 1u) * params.rowsPerBlock);
  var sum = 0.0;
  for (var row = block * params.rowsPerBlock; row < end; row = row + 1u) {
    sum = sum + input[row * params.cols + col];
  }
  sum = sum * params.scale;
  if (ACCUMULATE) {
    sum = sum + output[i];
  }
  output[i] = sum;
}
