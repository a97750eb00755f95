// Sums of squares of a gradient by blocks of `perBlock` elements, one workgroup a block; the second
// stage is clip-coefficient. The order of additions is fixed.
// uses: reduce

const WG: u32 = 64u;

struct Params {
  count: u32,
  perBlock: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> grad: array<f32>;           // [count]
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;  // [first + blocks] or more
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let block = wg.x + wg.y * grid.x;
  let begin = block * params.perBlock;
  if (begin >= params.count) {
    return;
  }
  let end = min(begin + params.perBlock, params.count);
  var sum = 0.0;
  for (var i = begin + lane; i < end; i = i + WG) {
    sum = sum + grad[i] * grad[i];
  }
  let total = workgroup_sum(sum, lane);
  if (lane == 0u) {
    partial[params.first + block] = total;
  }
}
