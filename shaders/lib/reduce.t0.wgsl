// Workgroup reductions by a tree in workgroup memory; every thread gets the result.
// The kernel declares `const WG: u32`, a power of two. The order of additions is fixed.

var<workgroup> reduce_scratch: array<f32, WG>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var step = WG / 2u; step > 0u; step = step / 2u) {
    if (lane < step) {
      reduce_scratch[lane] = reduce_scratch[lane] + reduce_scratch[lane + step];
    }
    workgroupBarrier();
  }
  let result = reduce_scratch[0];
  workgroupBarrier();
  return result;
}

// May leave NaN out: a kernel that takes maxima keeps count of NaN itself.
fn workgroup_max(value: f32, lane: u32) -> f32 {
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var step = WG / 2u; step > 0u; step = step / 2u) {
    if (lane < step) {
      reduce_scratch[lane] = max(reduce_scratch[lane], reduce_scratch[lane + step]);
    }
    workgroupBarrier();
  }
  let result = reduce_scratch[0];
  workgroupBarrier();
  return result;
}
