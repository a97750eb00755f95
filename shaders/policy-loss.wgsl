// GRPO's loss per token and its gradient: clipped ratio (Schulman et al. 2017, eq. 7), the k3
// estimate of the KL to the reference policy (Schulman 2020) and an entropy bonus:
//   loss = -min(w A, clamp(w, 1 - low, 1 + high) A) + beta * k3 - entropyCoef * H,
//   w = exp(logp - old), k3 = exp(ref - logp) - (ref - logp) - 1.
// One thread a token; a token of weight 0 is masked and gives zeros.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  epsilonLow: f32,
  epsilonHigh: f32,
  beta: f32,
  entropyCoef: f32,
}

@group(0) @binding(0) var<storage, read> out: array<f32>;                // [rows, 3]: logp, lse, entropy
@group(0) @binding(1) var<storage, read> oldLogp: array<f32>;            // [rows]
@group(0) @binding(2) var<storage, read> refLogp: array<f32>;            // [rows]
@group(0) @binding(3) var<storage, read> advantage: array<f32>;          // [rows]
@group(0) @binding(4) var<storage, read> weight: array<f32>;             // [rows]: 0 = masked
@group(0) @binding(5) var<storage, read_write> grad: array<vec2<f32>>;   // [rows]: dL/dlogp, dL/dentropy
@group(0) @binding(6) var<storage, read_write> terms: array<f32>;        // [rows, 8]
@group(0) @binding(7) var<uniform> params: Params;

// (exp(x) - 1 - x) without the cancellation near 0, by its series there.
fn exp_tail(x: f32) -> f32 {
  if (abs(x) > 0.5) {
    return exp(x) - 1.0 - x;
  }
  let series = 1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0
    + x * (1.0 / 720.0 + x * (1.0 / 5040.0 + x * (1.0 / 40320.0))))));
  return x * x * series;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = (wg.x + wg.y * grid.x) * WG + lane;
  if (row >= params.rows) {
    return;
  }
  let share = weight[row];
  if (share == 0.0) {
    grad[row] = vec2<f32>(0.0);
    for (var i = 0u; i < 8u; i = i + 1u) {
      terms[row * 8u + i] = 0.0;
    }
    return;
  }
  let logp = out[row * 3u];
  let entropy = out[row * 3u + 2u];
  let a = advantage[row];
  let difference = logp - oldLogp[row];
  let ratio = exp(difference);
  let low = 1.0 - params.epsilonLow;
  let high = 1.0 + params.epsilonHigh;
  let free = ratio * a;
  let clipped = clamp(ratio, low, high) * a;
  let below_ref = refLogp[row] - logp;
  let k3 = exp_tail(below_ref);
  var loss = -min(free, clipped) - params.entropyCoef * entropy;
  var slope = select(0.0, -free, free <= clipped);
  if (params.beta != 0.0) {
    loss = loss + params.beta * k3;
    slope = slope - params.beta * (k3 + below_ref);
  }
  grad[row] = vec2<f32>(share * slope, -share * params.entropyCoef);
  let at = row * 8u;
  terms[at] = share * loss;
  terms[at + 1u] = 1.0;
  terms[at + 2u] = k3;
  terms[at + 3u] = ratio;
  terms[at + 4u] = select(0.0, 1.0, ratio < low && a < 0.0);
  terms[at + 5u] = select(0.0, 1.0, ratio > high && a > 0.0);
  terms[at + 6u] = entropy;
  terms[at + 7u] = abs(difference);
}
