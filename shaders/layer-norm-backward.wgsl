// LayerNorm, gradient of the input: dx = rstd * (g - mean(g) - z * mean(g * z)) with g = dy *
// weight and z = (x - mean) * rstd. One workgroup a row, or with THREAD_A_ROW one thread; sums in
// f32.
// uses: reduce

const WG: u32 = 64u;
const THREAD_A_ROW: bool = false;

struct Params {
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;        // [rows, cols]
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [rows, cols]
@group(0) @binding(2) var<storage, read> weight: array<f32>;    // [cols]
@group(0) @binding(3) var<storage, read> stats: array<f32>;     // [rows, 2]: mean, 1/deviation
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;  // [rows, cols]
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
  let mean = stats[row * 2u];
  let rstd = stats[row * 2u + 1u];
  var sum = 0.0;
  var along = 0.0;
  for (var col = first; col < params.cols; col = col + step) {
    let g = dy[base + col] * weight[col];
    sum = sum + g;
    along = along + g * (x[base + col] - mean) * rstd;
  }
  let mean_g = row_sum(sum, lane) / f32(params.cols);
  let mean_gz = row_sum(along, lane) / f32(params.cols);
  for (var col = first; col < params.cols; col = col + step) {
    let z = (x[base + col] - mean) * rstd;
    if (live) {
      dx[base + col] = rstd * (dy[base + col] * weight[col] - mean_g - z * mean_gz);
    }
  }
}
