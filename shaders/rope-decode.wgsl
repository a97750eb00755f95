// Rotary position embedding of one token a branch: as rope, with table row base[row] + state[0].
// One thread a pair.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  heads: u32,
  headDim: u32,
  sign: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, heads * headDim]
@group(0) @binding(1) var<storage, read> table: array<f32>;    // [positions, headDim]: cos (first half), sin (second half)
@group(0) @binding(2) var<storage, read> base: array<u32>;     // [rows]: table row of the branch's step 0
@group(0) @binding(3) var<storage, read> state: array<u32>;    // [0]: step
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [rows, heads * headDim]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.heads * (params.headDim / 2u)) {
    return;
  }
  let half = params.headDim / 2u;
  let j = i % half;
  let row = i / half / params.heads;
  let at = i / half * params.headDim + j;
  let angle = (base[row] + state[0]) * params.headDim + j;
  let c = table[angle];
  let s = table[angle + half] * params.sign;
  let a = x[at];
  let b = x[at + half];
  y[at] = a * c - b * s;
  y[at + half] = b * c + a * s;
}
