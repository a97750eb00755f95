// Softmax statistics of rows of logits, one tile of the vocabulary after another, with
// z = logit * invTemperature. One workgroup a row; sums in f32, tiles merged in the order of calls.
// The third number is relative to the maximum, which keeps the entropy exact for large logits.
// A logit of NaN or +inf makes the second number NaN, and with it all that logit-finish writes.
// uses: reduce, nan

const WG: u32 = 64u;
const UNROLL: u32 = 4u; // logits between two updates of a thread's maximum

struct Params {
  rows: u32,
  cols: u32,
  first: u32,
  invTemperature: f32,
  reset: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;               // [rows, cols]
@group(0) @binding(1) var<storage, read> targets: array<u32>;              // [rows]
@group(0) @binding(2) var<storage, read_write> running: array<vec4<f32>>;  // [rows], see below
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = wg.x + wg.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let base = row * params.cols;
  var own = -3e38;
  var sum = 0.0;
  var weighted = 0.0;
  var broken = false;
  for (var first = lane; first < params.cols; first = first + WG * UNROLL) {
    var z: array<f32, UNROLL>;
    var highest = own;
    for (var i = 0u; i < UNROLL; i = i + 1u) {
      let col = first + i * WG;
      z[i] = -3e38;
      if (col < params.cols) {
        z[i] = logits[base + col] * params.invTemperature;
        broken = broken || breaks_softmax(z[i]);
      }
      highest = max(highest, z[i]);
    }
    // The clamps keep 0 * inf out where a logit is -inf or a thread has seen none.
    let shift = max(own - highest, -1000.0);
    let keep = exp(shift);
    weighted = (weighted + shift * sum) * keep;
    sum = sum * keep;
    own = highest;
    for (var i = 0u; i < UNROLL; i = i + 1u) {
      let below = max(z[i] - highest, -1000.0);
      let e = select(0.0, exp(below), first + i * WG < params.cols);
      sum = sum + e;
      weighted = weighted + below * e;
    }
  }
  let top = workgroup_max(own, lane);
  let shift_own = max(own - top, -1000.0);
  let keep_own = exp(shift_own);
  weighted = (weighted + shift_own * sum) * keep_own;
  sum = sum * keep_own;
  sum = workgroup_sum(sum, lane);
  weighted = workgroup_sum(weighted, lane);
  sum = nan_if(workgroup_max(select(0.0, 1.0, broken), lane) > 0.0, sum);
  if (lane != 0u) {
    return;
  }
  // (max, sum e, sum (z - max) e, target z) with e = exp(z - max)
  var result = vec4<f32>(top, sum, weighted, -3e38);
  if (params.reset == 0u) {
    let earlier = running[row];
    let both = max(earlier.x, top);
    let shift_old = max(earlier.x - both, -1000.0);
    let shift_new = max(top - both, -1000.0);
    let keep_old = exp(shift_old);
    let keep_new = exp(shift_new);
    result = vec4<f32>(
      both,
      earlier.y * keep_old + sum * keep_new,
      (earlier.z + shift_old * earlier.y) * keep_old + (weighted + shift_new * sum) * keep_new,
      earlier.w,
    );
  }
  let column = targets[row] - params.first;
  if (column < params.cols) {
    result.w = logits[base + column] * params.invTemperature;
  }
  running[row] = result;
}
