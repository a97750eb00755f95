// LayerNorm (Ba, Kiros and Hinton 2016, eq. 4): y = (x - mean) / sqrt(var + eps) * weight + bias,
// per row. One workgroup a row, or with THREAD_A_ROW one thread; mean first, then the variance
// around it; sums in f32.
// uses: reduce

const WG: u32 = 64u;
const THREAD_A_ROW: bool = false;

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [rows, cols]
@group(0) @binding(1) var<storage, read> weight: array<f32>;       // [cols]
@group(0) @binding(2) var<storage, read> bias: array<f32>;         // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;      // [rows, cols]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;  // [rows, 2]: mean, 1/deviation
@group(0) @binding(5) var<uniform> params: Params;

fn row_sum(value: f32, lane: u32) -> f32 {
  if (THREAD_A_ROW) {
    return value;
  }
  return workgroup_sum(value, lane);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let wanted = select(group, group * WG + lane, THREAD_A_ROW);
  // Threads past the end repeat the last row without storing it: all of them must reach the sums.
  let live = wanted < params.rows;
  let row = min(wanted, params.rows - 1u);
  let base = row * params.cols;
  let first = select(lane, 0u, THREAD_A_ROW);
  let step = select(WG, 1u, THREAD_A_ROW);
  var sum = 0.0;
  for (var col = first; col < params.cols; col = col + step) {
    sum = sum + x[base + col];
  }
  let mean = row_sum(sum, lane) / f32(params.cols);
  var square = 0.0;
  for (var col = first; col < params.cols; col = col + step) {
    let value = x[base + col] - mean;
    square = square + value * value;
  }
  let rstd = 1.0 / sqrt(row_sum(square, lane) / f32(params.cols) + params.eps);
  for (var col = first; col < params.cols; col = col + step) {
    if (live) {
      y[base + col] = (x[base + col] - mean) * rstd * weight[col] + bias[col];
    }
  }
  if (live && first == 0u) {
    stats[row * 2u] = mean;
    stats[row * 2u + 1u] = rstd;
  }
}
