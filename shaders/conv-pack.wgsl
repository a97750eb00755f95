// Windows of a one-dimensional convolution laid out for a matrix product (im2col): y[r, c * taps +
// k] = x[index[r * taps + k], c], or 0 where the index is 0xffffffff. A workgroup takes ROWS rows.

const WG: u32 = 64u;
const ROWS: u32 = 4u;

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
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    let width = params.cols * params.taps;
    for (var e = lane; e < width; e = e + WG) {
      let source = index[row * params.taps + e % params.taps];
      var value = 0.0;
      if (source != 0xffffffffu) {
        value = x[source * params.cols + e / params.taps];
      }
      y[row * width + e] = value;
    }
  }
}
