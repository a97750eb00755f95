// Windows of a one-dimensional convolution laid out for a matrix product (im2col):
// y[r, c * taps + k] = x[index[r * taps + k], c], or 0 where the index is 0xffffffff. One thread an element.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
  taps: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rowsIn, cols]
@group(0) @binding(1) var<storage, read> index: array<u32>;    // [rows, taps]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, cols * taps]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.cols * params.taps) {
    return;
  }
  let width = params.cols * params.taps;
  let source = index[i / width * params.taps + i % params.taps];
  if (source == 0xffffffffu) {
    y[i] = 0.0;
  } else {
    y[i] = x[source * params.cols + i % width / params.taps];
  }
}
