// dW = dY^T X over a split's rows: partial[s, n, k] = sum_m dy[m, yOffset + n] x[m, k] (+
// partial). A thread computes ROWS x COLS outputs in registers; the threads of a workgroup lie
// along k, so that all of them read the same dy. No workgroup memory; sums in f32, in the order of
// m. The splits are added in order by col-sum.

const WG: u32 = 8u;
const ROWS: u32 = 16u;
const COLS: u32 = 4u;
const ACCUMULATE: bool = false;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  yStride: u32,
  yOffset: u32,
  rowsPerSplit: u32,
  splits: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [m, yStride], from yOffset
@group(0) @binding(1) var<storage, read> x: array<f32>;              // [m, k]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;  // [splits, n, k]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + ROWS - 1u) / ROWS;
  let tiles_k = (params.k + WG * COLS - 1u) / (WG * COLS);
  let tile = wg.x + wg.y * grid.x;
  let split = tile / (tiles_n * tiles_k);
  let n0 = tile / tiles_k % tiles_n * ROWS;
  let k0 = tile % tiles_k * (WG * COLS) + lane;
  // Rows and columns past the end read the last one and are not stored: no branch in the loop.
  var row: array<u32, ROWS>;
  for (var i = 0u; i < ROWS; i = i + 1u) {
    row[i] = params.yOffset + min(n0 + i, params.n - 1u);
  }
  var column: array<u32, COLS>;
  for (var j = 0u; j < COLS; j = j + 1u) {
    column[j] = min(k0 + j * WG, params.k - 1u);
  }
  var sums: array<array<f32, COLS>, ROWS>;
  // Surplus workgroups of a folded grid sum over nothing and store nothing.
  let live = split < params.splits;
  let m_start = select(params.m, min(params.m, split * params.rowsPerSplit), live);
  let m_end = min(params.m, m_start + params.rowsPerSplit);
  let m_main = m_start + ((m_end - m_start) & 0xfffffffcu);
  for (var m = m_start; m < m_main; m = m + 4u) {
    for (var u = 0u; u < 4u; u = u + 1u) {
      var value: array<f32, COLS>;
      for (var j = 0u; j < COLS; j = j + 1u) {
        value[j] = x[(m + u) * params.k + column[j]];
      }
      for (var i = 0u; i < ROWS; i = i + 1u) {
        let slope = dy[(m + u) * params.yStride + row[i]];
        for (var j = 0u; j < COLS; j = j + 1u) {
          sums[i][j] = fma(slope, value[j], sums[i][j]);
        }
      }
    }
  }
  for (var m = m_main; m < m_end; m = m + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let value = x[m * params.k + column[j]];
      for (var i = 0u; i < ROWS; i = i + 1u) {
        sums[i][j] = fma(dy[m * params.yStride + row[i]], value, sums[i][j]);
      }
    }
  }
  for (var i = 0u; i < ROWS; i = i + 1u) {
    for (var j = 0u; j < COLS; j = j + 1u) {
      let k = k0 + j * WG;
      if (live && n0 + i < params.n && k < params.k) {
        let at = (split * params.n + n0 + i) * params.k + k;
        var value = sums[i][j];
        if (ACCUMULATE) {
          value = value + partial[at];
        }
        partial[at] = value;
      }
    }
  }
}
