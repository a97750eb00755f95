// Y = X W^T: y[m, yOffset + n] = scale * sum_k x[m, k] w[n, k] (+ bias) (+ residual) (+ y). A
// thread computes ROWS x COLS outputs in registers; the threads of a workgroup lie along n, so
// that all of them read the same x. No workgroup memory; f32 sums of blocks, in the order of k.
// uses: weight

const WG: u32 = 8u;
const ROWS: u32 = 16u;
const COLS: u32 = 4u;
const BIAS: bool = false;
const RESIDUAL: bool = false;
const ACCUMULATE: bool = false;
// Terms that are summed by themselves first: rounding grows with the root of BLOCK plus the root of
// the number of blocks, not with the root of all terms.
const BLOCK: u32 = 64u;

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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + WG * COLS - 1u) / (WG * COLS);
  let tile = wg.x + wg.y * grid.x;
  let m0 = tile / tiles_n * ROWS;
  let n0 = tile % tiles_n * (WG * COLS) + lane;
  // Rows and columns past the end read the last one and are not stored: no branch in the loop.
  // Surplus workgroups of a folded grid sum over nothing.
  let k_end = select(0u, params.k, m0 < params.m);
  var x_at: array<u32, ROWS>;
  for (var i = 0u; i < ROWS; i = i + 1u) {
    x_at[i] = min(m0 + i, params.m - 1u) * params.k;
  }
  var w_at: array<u32, COLS>;
  for (var j = 0u; j < COLS; j = j + 1u) {
    w_at[j] = min(n0 + j * WG, params.n - 1u) * weight_stride(params.k);
  }
  var sums: array<array<f32, COLS>, ROWS>;
  var block: array<array<f32, COLS>, ROWS>;
  let k_main = k_end & 0xfffffffcu;
  for (var first = 0u; first < k_main; first = first + BLOCK) {
    block = array<array<f32, COLS>, ROWS>();
    let end = min(first + BLOCK, k_main);
    for (var k = first; k < end; k = k + 4u) {
      var w: array<vec4<f32>, COLS>;
      for (var j = 0u; j < COLS; j = j + 1u) {
        w[j] = load_weight4(w_at[j] + k);
      }
      for (var i = 0u; i < ROWS; i = i + 1u) {
        let at = x_at[i] + k;
        let value = vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
        for (var j = 0u; j < COLS; j = j + 1u) {
          block[i][j] = fma(value.w, w[j].w, fma(value.z, w[j].z,
                        fma(value.y, w[j].y, fma(value.x, w[j].x, block[i][j]))));
        }
      }
    }
    for (var i = 0u; i < ROWS; i = i + 1u) {
      for (var j = 0u; j < COLS; j = j + 1u) {
        sums[i][j] = sums[i][j] + block[i][j];
      }
    }
  }
  for (var k = k_main; k < k_end; k = k + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let w = load_weight(w_at[j] + k);
      for (var i = 0u; i < ROWS; i = i + 1u) {
        sums[i][j] = fma(x[x_at[i] + k], w, sums[i][j]);
      }
    }
  }
  for (var i = 0u; i < ROWS; i = i + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let n = n0 + j * WG;
      if (m0 + i < params.m && n < params.n) {
        let at = (m0 + i) * params.yStride + params.yOffset + n;
        var value = sums[i][j] * params.scale;
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
}
