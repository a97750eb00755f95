// Gradient of conv-pack: dx[i, c] = sum over t < taps of dy[out, c * taps + k] with
// inverse[i * taps + t] = out * taps + k, or 0xffffffff for none. One thread an element, t in order.

const WG: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
  taps: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;        // [rowsOut, cols * taps]
@group(0) @binding(1) var<storage, read> inverse: array<u32>;   // [rows, taps]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;  // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * grid.x) * WG + lane;
  if (i >= params.rows * params.cols) {
    return;
  }
  let row = i / params.cols;
  let col = i % params.cols;
  var sum = 0.0;
  for (var t = 0u; t < params.taps; t = t + 1u) {
    let place = inverse[row * params.taps + t];
    if (place != 0xffffffffu) {
      sum = sum + dy[place / params.taps * params.cols * params.taps + col * params.taps
                     + place % params.taps];
    }
  }
  dx[i] = sum;
}
