// Gradient of a norm's weight over blocks of rows: partial[b, c] = sum over the block's rows of
// dy * (x - mean) * rstd. One thread an output, rows in order; col-sum adds the blocks.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
  rowsPerBlock: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [rows, cols]
@group(0) @binding(1) var<storage, read> x: array<f32>;              // [rows, cols]
@group(0) @binding(2) var<storage, read> stats: array<f32>;          // [rows, 2]: mean, rstd
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;  // [blocks, cols]
@group(0) @binding(4) var<uniform> params: Params;

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
    let at = row * params.cols + col;
    sum = sum + dy[at] * (x[at] - stats[row * 2u]) * stats[row * 2u + 1u];
  }
  partial[i] = sum;
}
