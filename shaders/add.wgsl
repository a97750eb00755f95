// Sum of two tensors: y = a + scale * b. One thread an element.

const WG: u32 = 64u;

struct Params {
  count: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read> b: array<f32>;        // [count]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.count) {
    return;
  }
  y[i] = a[i] + params.scale * b[i];
}
