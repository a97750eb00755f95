// Negative log-likelihood per token, weight * -logp, and its gradient. One thread a token.
// uses: nan

const WG: u32 = 64u;

struct Params {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> out: array<f32>;                // [rows, 3]: logp, lse, entropy
@group(0) @binding(1) var<storage, read> weight: array<f32>;             // [rows]: 0 = masked
@group(0) @binding(2) var<storage, read_write> grad: array<vec2<f32>>;   // [rows]: dL/dlogp, 0
@group(0) @binding(3) var<storage, read_write> terms: array<vec2<f32>>;  // [rows]: loss, weight > 0
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = (wg.x + wg.y * grid.x) * WG + lane;
  if (row >= params.rows) {
    return;
  }
  let share = weight[row];
  let counted = share != 0.0 || is_nan(share);
  grad[row] = vec2<f32>(-share, 0.0);
  terms[row] = vec2<f32>(select(0.0, -share * out[row * 3u], counted), select(0.0, 1.0, counted));
}
