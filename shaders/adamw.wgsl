// AdamW (Loshchilov and Hutter 2019, algorithm 2) with the arithmetic of torch.optim.AdamW:
// decoupled decay first, then p -= lr / correction1 * m / (sqrt(v) / sqrt(correction2) + eps).
// The complements 1 - beta come from the host, since 1 - f32(0.999) is off by 5e-5 of its value.
// The gradient is multiplied by clip[1]; a negative clip[1] (the norm was not finite) skips the
// step and leaves parameter and moments as they are. One thread an element.

const WG: u32 = 64u;

struct Params {
  count: u32,
  learningRate: f32,
  complement1: f32,
  complement2: f32,
  eps: f32,
  weightDecay: f32,
  correction1: f32,
  correction2: f32,
}

@group(0) @binding(0) var<storage, read_write> param: array<f32>;  // [count]
@group(0) @binding(1) var<storage, read> grad: array<f32>;         // [count]
@group(0) @binding(2) var<storage, read_write> m: array<f32>;      // [count]
@group(0) @binding(3) var<storage, read_write> v: array<f32>;      // [count]
@group(0) @binding(4) var<storage, read> clip: array<f32>;         // [2]: norm, coefficient
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  let coefficient = clip[1];
  if (i >= params.count || coefficient < 0.0) {
    return;
  }
  let g = grad[i] * coefficient;
  let m_new = m[i] + params.complement1 * (g - m[i]);
  let v_new = v[i] + params.complement2 * (g * g - v[i]);
  m[i] = m_new;
  v[i] = v_new;
  let denominator = sqrt(v_new) / sqrt(params.correction2) + params.eps;
  let decayed = param[i] - param[i] * (params.learningRate * params.weightDecay);
  param[i] = decayed - params.learningRate / params.correction1 * (m_new / denominator);
}
