// dX = dY W: dx[m, k] = scale * sum_n dy[m, yOffset + n] w[n, k] (+ dx). A thread computes ROWS x
// COLS outputs in registers; the threads of a workgroup lie along k, so that all of them read the
// same dy. No workgroup memory; f32 sums of blocks, in the order of n.
// uses: weight

const WG: u32 = 8u;
const ROWS: u32 = 16u;
const COLS: u32 = 4u;
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

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [m, yStride], from yOffset
@group(0) @binding(1) var<storage, read> weight: array<WeightWord>;  // [n, k]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;       // [m, k]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let tiles_k = (params.k + WG * COLS - 1u) / (WG * COLS);
  let tile = wg.x + wg.y * grid.x;
  let m0 = tile / tiles_k * ROWS;
  let k0 = tile % tiles_k * (WG * COLS) + lane;
  // Rows and columns past the end read the last one and are not stored: no branch in the loop.
  // Surplus workgroups of a folded grid sum over nothing.
  let n_end = select(0u, params.n, m0 < params.m);
  var y_at: array<u32, ROWS>;
  for (var i = 0u; i < ROWS; i = i + 1u) {
    y_at[i] = min(m0 + i, params.m - 1u) * params.yStride + params.yOffset;
  }
  var column: array<u32, COLS>;
  for (var j = 0u; j < COLS; j = j + 1u) {
    column[j] = min(k0 + j * WG, params.k - 1u);
  }
  let stride = weight_stride(params.k);
  var sums: array<array<f32, COLS>, ROWS>;
  var block: array<array<f32, COLS>, ROWS>;
  let n_main = n_end & 0xfffffffcu;
  for (var first = 0u; first < n_main; first = first + BLOCK) {
    block = array<array<f32, COLS>, ROWS>();
    let end = min(first + BLOCK, n_main);
    for (var n = first; n < end; n = n + 4u) {
      for (var u = 0u; u < 4u; u = u + 1u) {
        var w: array<f32, COLS>;
        for (var j = 0u; j < COLS; j = j + 1u) {
          w[j] = load_weight((n + u) * stride + column[j]);
        }
        for (var i = 0u; i < ROWS; i = i + 1u) {
          let value = dy[y_at[i] + n + u];
          for (var j = 0u; j < COLS; j = j + 1u) {
            block[i][j] = fma(value, w[j], block[i][j]);
          }
        }
      }
    }
    for (var i = 0u; i < ROWS; i = i + 1u) {
      for (var j = 0u; j < COLS; j = j + 1u) {
        sums[i][j] = sums[i][j] + block[i][j];
      }
    }
  }
  for (var n = n_main; n < n_end; n = n + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let w = load_weight(n * stride + column[j]);
      for (var i = 0u; i < ROWS; i = i + 1u) {
        sums[i][j] = fma(dy[y_at[i] + n], w, sums[i][j]);
      }
    }
  }
  for (var i = 0u; i < ROWS; i = i + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let k = k0 + j * WG;
      if (m0 + i < params.m && k < params.k) {
        let at = (m0 + i) * params.k + k;
        var value = sums[i][j] * params.scale;
        if (ACCUMULATE) {
          value = value + dx[at];
        }
        dx[at] = value;
      }
    }
  }
}
