// dX = dY W: dx[m, k] = scale * sum_n dy[m, yOffset + n] w[n, k] (+ dx).
// One thread an output; sums in f32.
// uses: weight

const WG: u32 = 64u;
const ACCUMULATE: bool = false;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  yStride: u32,
  yOffset: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [m, yStride] at yOffset
@group(0) @binding(1) var<storage, read> weight: array<WeightWord>;  // [n, k]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;       // [m, k]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.m * params.k) {
    return;
  }
  let row = i / params.k;
  let col = i % params.k;
  let stride = weight_stride(params.k);
  var sum = 0.0;
  for (var n = 0u; n < params.n; n = n + 1u) {
    sum = sum + dy[row * params.yStride + params.yOffset + n] * load_weight(n * stride + col);
  }
  sum = sum * params.scale;
  if (ACCUMULATE) {
    sum = sum + dx[i];
  }
  dx[i] = sum;
}
