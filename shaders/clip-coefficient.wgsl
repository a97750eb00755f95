// The norm of all gradients and the factor that clips it, as torch.nn.utils.clip_grad_norm_:
// min(1, maxNorm / (norm + 1e-6)). maxNorm 0 does not clip. A norm that is not finite gives the
// coefficient -1, at which adamw skips its step. One workgroup.
// uses: reduce

const WG: u32 = 64u;

struct Params {
  count: u32,
  maxNorm: f32,
}

@group(0) @binding(0) var<storage, read> partial: array<f32>;     // [count]: sums of squares
@group(0) @binding(1) var<storage, read_write> clip: array<f32>;  // [2]: norm, coefficient
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.count; i = i + WG) {
    sum = sum + partial[i];
  }
  let total = workgroup_sum(sum, lane);
  if (lane != 0u) {
    return;
  }
  let norm = sqrt(total);
  var coefficient = select(1.0, min(1.0, params.maxNorm / (norm + 1e-6)), params.maxNorm > 0.0);
  // By bits, since WGSL may assume that there are no infinities and no NaN.
  if ((bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u) {
    coefficient = -1.0;
  }
  clip[0] = norm;
  clip[1] = coefficient;
}
