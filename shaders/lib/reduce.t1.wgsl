// Workgroup reductions by subgroup operations, then over the subgroups' results in index order;
// every thread gets the result. The kernel declares `const WG: u32`. Works for any subgroup size.

var<workgroup> reduce_scratch: array<f32, WG>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
  // One slot a lane, so that the kernel needs no subgroup index: the first lane of each subgroup
  // leaves its sum, the others leave zero, and the slots are added in order.
  let partial = subgroupAdd(value);
  reduce_scratch[lane] = select(0.0, partial, subgroupElect());
  workgroupBarrier();
  var result = 0.0;
  for (var i = 0u; i < WG; i = i + 4u) {
    result = result + reduce_scratch[i];
  }
  workgroupBarrier();
  return result;
}

// May leave NaN out: a kernel that takes maxima keeps count of NaN itself.
fn workgroup_max(value: f32, lane: u32) -> f32 {
  reduce_scratch[lane] = subgroupMax(value);
  workgroupBarrier();
  var result = reduce_scratch[0];
  for (var i = 4u; i < WG; i = i + 4u) {
    result = max(result, reduce_scratch[i]);
  }
  workgroupBarrier();
  return result;
}
