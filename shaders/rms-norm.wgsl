// RMSNorm (Zhang and Sennrich 2019, eq. 4): y = x / sqrt(mean(x^2) + eps) * weight, per row.
// One workgroup a row; sums in f32. Saves the row's statistics for the backward pass.
// uses: reduce

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [rows, cols]
@group(0) @binding(1) var<storage, read> weight: array<f32>;       // [cols]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;      // [rows, cols]
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;  // [rows, 2]: mean (0), 1/rms
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = wg.x + wg.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let base = row * params.cols;
  var sum = 0.0;
  for (var col = lane; col < params.cols; col = col + WG) {
    let value = x[base + col];
    sum = sum + value * value;
  }
  let mean_square = workgroup_sum(sum, lane) / f32(params.cols);
  let rstd = 1.0 / sqrt(mean_square + params.eps);
  for (var col = lane; col < params.cols; col = col + WG) {
    y[base + col] = x[base + col] * rstd * weight[col];
  }
  if (lane == 0u) {
    stats[row * 2u] = 0.0;
    stats[row * 2u + 1u] = rstd;
  }
}
