// Y = X W^T for few rows (m <= 16): y[m, yOffset + n] = scale * sum_k x[m, k] w[n, k] (+ bias) (+ residual) (+ y).
// One thread an output; sums in f32.
// uses: weight

const WG: u32 = 64u;
const BIAS: bool = false;
const RESIDUAL: bool = false;
const ACCUMULATE: bool = false;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  yStride: u32,
  yOffset: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;              // [m, k]
@group(0) @binding(1) var<storage, read> weight: array<WeightWord>;  // [n, k]
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [yStride] at yOffset
@group(0) @binding(3) var<storage, read> residual: array<f32>;       // [m, yStride] at yOffset
@group(0) @binding(4) var<storage, read_write> y: array<f32>;        // [m, yStride] at yOffset
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.m * params.n) {
    return;
  }
  let row = i / params.n;
  let col = i % params.n;
  let w_base = col * weight_stride(params.k);
  var sum = 0.0;
  for (var k = 0u; k < params.k; k = k + 1u) {
    sum = sum + x[row * params.k + k] * load_weight(w_base + k);
  }
  let at = row * params.yStride + params.yOffset + col;
  var value = sum * params.scale;
  if (BIAS) {
    value = value + bias[params.yOffset + col];
  }
  if (RESIDUAL) {
    value = value + residual[at];
  }
  if (ACCUMULATE) {
    value = value + y[at];
  }
  y[at] = value;
}
