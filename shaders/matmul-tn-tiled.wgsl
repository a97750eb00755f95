// dW = dY^T X over a split's rows, as matmul-tn, for GPUs: partial[s, n, k] = sum_m dy[m, yOffset
// + n] x[m, k]. A workgroup computes TILE x TILE outputs, a thread PER x PER of them, from slices
// of STEP rows staged in workgroup memory; sums in f32, in the order of m. The splits are added in
// order by col-sum.

const TILE: u32 = 64u;
const PER: u32 = 4u;
const STEP: u32 = 16u;
const ACCUMULATE: bool = false;
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
  rowsPerSplit: u32,
  splits: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [m, yStride], from yOffset
@group(0) @binding(1) var<storage, read> x: array<f32>;              // [m, k]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;  // [splits, n, k]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> left: array<f32, STEP * PITCH>;
var<workgroup> right: array<f32, STEP * PITCH>;

// Zeros lie past the end of the split; columns past the end read the last one and are not stored.
fn load_left(m: u32, end: u32, row: u32) -> f32 {
  let at = m * params.yStride + params.yOffset + min(row, params.n - 1u);
  return select(0.0, dy[at], m < end);
}

fn load_right(m: u32, col: u32) -> f32 {
  return select(0.0, x[m * params.k + min(col, params.k - 1u)], m < params.m);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + TILE - 1u) / TILE;
  let tiles_k = (params.k + TILE - 1u) / TILE;
  let tile = wg.x + wg.y * grid.x;
  let split = tile / (tiles_n * tiles_k);
  let row0 = tile / tiles_k % tiles_n * TILE;
  let col0 = tile % tiles_k * TILE;
  // Surplus workgroups of a folded grid sum over nothing and store nothing.
  let live = split < params.splits;
  let start = select(params.m, min(params.m, split * params.rowsPerSplit), live);
  let end = min(params.m, start + params.rowsPerSplit);
  let row_lane = lane / SIDE;
  let col_lane = lane % SIDE;
  var sums: array<array<f32, PER>, PER>;
  for (var at = start; at < end; at = at + STEP) {
    for (var e = lane; e < TILE * STEP; e = e + WG) {
      // Neighbouring threads read along the columns of both operands.
      let place = e / TILE * PITCH + e % TILE;
      left[place] = load_left(at + e / TILE, end, row0 + e % TILE);
      right[place] = load_right(at + e / TILE, col0 + e % TILE);
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
          sums[i][j] = fma(a[i], b[j], sums[i][j]);
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < PER; i = i + 1u) {
    for (var j = 0u; j < PER; j = j + 1u) {
      let row = row0 + row_lane + i * SIDE;
      let col = col0 + col_lane + j * SIDE;
      if (live && row < params.n && col < params.k) {
        let at = (split * params.n + row) * params.k + col;
        var value = sums[i][j];
        if (ACCUMULATE) {
          value = value + partial[at];
        }
        partial[at] = value;
      }
    }
  }
}
