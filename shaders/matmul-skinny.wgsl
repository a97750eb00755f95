// Y = X W^T for few rows: y[m, yOffset + n] = scale * sum_k x[m, k] w[n, k] (+ bias) (+ residual)
// (+ y). LANES threads share the sum over k of one column n for ROWS rows, each of them every
// LANES-th group of four values; the parts are added in the order of the threads. Meant for m <=
// ROWS, right for any m.
// uses: weight

const WG: u32 = 64u;
const LANES: u32 = 16u;
const ROWS: u32 = 16u;
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
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [yStride], from yOffset
@group(0) @binding(3) var<storage, read> residual: array<f32>;       // [m, yStride], from yOffset
@group(0) @binding(4) var<storage, read_write> y: array<f32>;        // [m, yStride], from yOffset
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> parts: array<f32, ROWS * WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let columns = WG / LANES;
  let tiles_n = (params.n + columns - 1u) / columns;
  let tile = wg.x + wg.y * grid.x;
  let m0 = tile / tiles_n * ROWS;
  let n0 = tile % tiles_n * columns;
  let part = lane % LANES;
  // Rows and columns past the end read the last one and are not stored: no branch in the loop.
  let w_at = min(n0 + lane / LANES, params.n - 1u) * weight_stride(params.k);
  var x_at: array<u32, ROWS>;
  for (var i = 0u; i < ROWS; i = i + 1u) {
    x_at[i] = min(m0 + i, params.m - 1u) * params.k;
  }
  var sums: array<f32, ROWS>;
  let k_main = params.k & 0xfffffffcu;
  for (var k = part * 4u; k < k_main; k = k + LANES * 4u) {
    let w = load_weight4(w_at + k);
    for (var i = 0u; i < ROWS; i = i + 1u) {
      let at = x_at[i] + k;
      sums[i] = sums[i] + dot(vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]), w);
    }
  }
  if (k_main + part < params.k) {
    let w = load_weight(w_at + k_main + part);
    for (var i = 0u; i < ROWS; i = i + 1u) {
      sums[i] = fma(x[x_at[i] + k_main + part], w, sums[i]);
    }
  }
  for (var i = 0u; i < ROWS; i = i + 1u) {
    parts[i * WG + lane] = sums[i];
  }
  workgroupBarrier();
  for (var e = lane; e < ROWS * columns; e = e + WG) {
    let m = m0 + e / columns;
    let n = n0 + e % columns;
    if (m < params.m && n < params.n) {
      var sum = 0.0;
      for (var p = 0u; p < LANES; p = p + 1u) {
        sum = sum + parts[e / columns * WG + e % columns * LANES + p];
      }
      let at = m * params.yStride + params.yOffset + n;
      var value = sum * params.scale;
      if (BIAS) {
        value = value + bias[params.yOffset + n];
      }
      if (RESIDUAL) {
        value = value + residual[at];
      }
      if (ACCUMULATE) {
        value = value + y[at];
      }
      y[at] = value;
    }
  }
}
