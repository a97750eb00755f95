// Rotary position embedding (Su et al. 2021, eq. 34), rotate-half form: lanes j and j + half of
// every head turn by the angle of the row's table entry. A workgroup takes ROWS rows; sign -1
// turns back (backward).

const WG: u32 = 64u;
const ROWS: u32 = 4u;

struct Params {
  rows: u32,
  heads: u32,
  headDim: u32,
  sign: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, heads * headDim]
@group(0) @binding(1) var<storage, read> table: array<f32>;    // [rows, headDim]: cos, sin
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, heads * headDim]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    let half = params.headDim / 2u;
    let angles = row * params.headDim;
    let at = row * params.heads * params.headDim;
    for (var e = lane; e < params.heads * half; e = e + WG) {
      let head = e / half;
      let j = e - head * half;
      let c = table[angles + j];
      let s = table[angles + half + j] * params.sign;
      let low = at + head * params.headDim + j;
      let a = x[low];
      let b = x[low + half];
      y[low] = a * c - b * s;
      y[low + half] = b * c + a * s;
    }
  }
}
