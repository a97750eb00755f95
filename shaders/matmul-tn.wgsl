// dW = dY^T X over a split's rows: partial[s, n, k] = sum_m dy[m, yOffset + n] x[m, k] (+ partial).
// One thread an output; sums in f32. The splits are added in order by col-sum.

const WG: u32 = 64u;
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

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [m, yStride] at yOffset
@group(0) @binding(1) var<storage, read> x: array<f32>;              // [m, k]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;  // [splits, n, k]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.splits * params.n * params.k) {
    return;
  }
  let split = i / (params.n * params.k);
  let row = i / params.k % params.n;
  let col = i % params.k;
  let end = min(params.m, (split + 1u) * params.rowsPerSplit);
  var sum = 0.0;
  for (var m = split * params.rowsPerSplit; m < end; m = m + 1u) {
    sum = sum + dy[m * params.yStride + params.yOffset + row] * x[m * params.k + col];
  }
  if (ACCUMULATE) {
    sum = sum + partial[i];
  }
  partial[i] = sum;
}
