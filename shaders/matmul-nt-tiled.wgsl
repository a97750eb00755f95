// Y = X W^T, as matmul-nt, for GPUs: y[m, yOffset + n] = scale * sum_k x[m, k] w[n, k] (+ terms).
// A workgroup computes TILE x TILE outputs, a thread PER x PER of them, from slices of STEP
// columns staged in workgroup memory; f32 sums of blocks, in the order of k.
// uses: weight

const TILE: u32 = 64u;
const PER: u32 = 4u;
const STEP: u32 = 16u;
const BIAS: bool = false;
const RESIDUAL: bool = false;
const ACCUMULATE: bool = false;
// Terms that are summed by themselves first: rounding grows with the root of BLOCK plus the root of
// the number of blocks, not with the root of all terms.
const BLOCK: u32 = 64u; // a multiple of STEP
// Threads along one side of the tile; a row of the staged tiles is padded against bank conflicts.
const SIDE: u32 = TILE / PER;
const WG: u32 = SIDE * SIDE;
const PITCH: u32 = TILE + 1u;

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

var<workgroup> left: array<f32, STEP * PITCH>;
var<workgroup> right: array<f32, STEP * PITCH>;

// Zeros lie past the end of k; rows past the end read the last one and are not stored.
fn load_left(row: u32, k: u32) -> f32 {
  return select(0.0, x[min(row, params.m - 1u) * params.k + k], k < params.k);
}

fn load_right(col: u32, k: u32) -> f32 {
  let value = load_weight(min(col, params.n - 1u) * weight_stride(params.k) + k);
  return select(0.0, value, k < params.k);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + TILE - 1u) / TILE;
  let tile = wg.x + wg.y * grid.x;
  let row0 = tile / tiles_n * TILE;
  let col0 = tile % tiles_n * TILE;
  let start = 0u;
  // Surplus workgroups of a folded grid sum over nothing.
  let end = select(0u, params.k, row0 < params.m);
  let row_lane = lane / SIDE;
  let col_lane = lane % SIDE;
  var sums: array<array<f32, PER>, PER>;
  var block: array<array<f32, PER>, PER>;
  for (var at = start; at < end; at = at + STEP) {
    for (var e = lane; e < TILE * STEP; e = e + WG) {
      // Neighbouring threads read along k, along which both operands are contiguous.
      let place = e % STEP * PITCH + e / STEP;
      left[place] = load_left(row0 + e / STEP, at + e % STEP);
      right[place] = load_right(col0 + e / STEP, at + e % STEP);
    }
    workgroupBarrier();
    for (var p = 0u; p < STEP; p = p + 1u) {
      var a: array<f32, PER>;
      var b: array<f32, PER>;
      for (var i = 0u; i < PER; i = i + 1u) {
        a[i] = left[p * PITCH + row_lane + i * SIDE];
        b[i] = right[p * PITCH + col_lane + i * SIDE];
      }
      for (var i = 0u; i < PER; i = i + 1u) {
        for (var j = 0u; j < PER; j = j + 1u) {
          block[i][j] = fma(a[i], b[j], block[i][j]);
        }
      }
    }
    if ((at + STEP) % BLOCK == 0u || at + STEP >= end) {
      for (var i = 0u; i < PER; i = i + 1u) {
        for (var j = 0u; j < PER; j = j + 1u) {
          sums[i][j] = sums[i][j] + block[i][j];
          block[i][j] = 0.0;
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < PER; i = i + 1u) {
    for (var j = 0u; j < PER; j = j + 1u) {
      let row = row0 + row_lane + i * SIDE;
      let col = col0 + col_lane + j * SIDE;
      if (row < params.m && col < params.n) {
        let at = row * params.yStride + params.yOffset + col;
        var value = sums[i][j] * params.scale;
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
    }
  }
}
