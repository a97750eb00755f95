// Gradient of a gather with repeated rows: y[i, :] = sum over j in [start[i], start[i + 1]) of
// x[order[j], :], in that order; rows that were never gathered become zero. One thread an element.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [rows of the gather, cols]
@group(0) @binding(1) var<storage, read> order: array<u32>;     // rows of x, grouped by i
@group(0) @binding(2) var<storage, read> start: array<u32>;     // [rows + 1]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [rows, cols]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let element = (wg.x + wg.y * grid.x) * WG + lane;
  if (element >= params.rows * params.cols) {
    return;
  }
  let row = element / params.cols;
  let col = element % params.cols;
  var sum = 0.0;
  for (var j = start[row]; j < start[row + 1u]; j = j + 1u) {
    sum = sum + x[order[j] * params.cols + col];
  }
  y[element] = sum;
}
