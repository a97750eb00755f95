// Turns the running statistics of `logit-stats` into what the losses read. One thread a row.

const WG: u32 = 64u;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> running: array<vec4<f32>>;  // [rows]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;      // [rows, 3]: log p(target), log-sum-exp, entropy
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = (wg.x + wg.y * grid.x) * WG + lane;
  if (row >= params.rows) {
    return;
  }
  let stats = running[row];
  let log_sum = log(stats.y);
  out[row * 3u] = (stats.w - stats.x) - log_sum;
  out[row * 3u + 1u] = stats.x + log_sum;
  out[row * 3u + 2u] = log_sum - stats.z / stats.y;
}
