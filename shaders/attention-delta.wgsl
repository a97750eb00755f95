// The two numbers that both backward attention kernels need of a (row, head): its log-sum-exp and
// delta = sum_d o * dO (Dao et al. 2022, algorithm 4, line 4), side by side. One thread a (row,
// head).

const HEAD_DIM: u32 = 32u; // D
const WG: u32 = 64u;
const VECS: u32 = HEAD_DIM / 4u;

struct Params {
  rows: u32,
  heads: u32,
}

@group(0) @binding(0) var<storage, read> o: array<vec4<f32>>;              // [rows, heads, D]
@group(0) @binding(1) var<storage, read> dO: array<vec4<f32>>;             // [rows, heads, D]
@group(0) @binding(2) var<storage, read> lse: array<f32>;                  // [rows, heads]
@group(0) @binding(3) var<storage, read_write> stats: array<vec2<f32>>;    // [rows, heads]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let slot = (wg.x + wg.y * grid.x) * WG + lane;
  if (slot >= params.rows * params.heads) {
    return;
  }
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < VECS; i = i + 1u) {
    sum = sum + o[slot * VECS + i] * dO[slot * VECS + i];
  }
  stats[slot] = vec2<f32>(lse[slot], (sum.x + sum.y) + (sum.z + sum.w));
}
