// Gradient of conv-pack: dx[i, c] = sum over t < taps of dy[out, c * taps + k] with inverse[i *
// taps + t] = out * taps + k, or 0xffffffff for none. A workgroup takes ROWS rows, t in order.

const WG: u32 = 64u;
const ROWS: u32 = 4u;

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
  let group = wg.x + wg.y * grid.x;
  let end = min(params.rows, (group + 1u) * ROWS);
  for (var row = group * ROWS; row < end; row = row + 1u) {
    for (var col = lane; col < params.cols; col = col + WG) {
      var sum = 0.0;
      for (var t = 0u; t < params.taps; t = t + 1u) {
        let place = inverse[row * params.taps + t];
        if (place != 0xffffffffu) {
          let out = place / params.taps;
          let k = place % params.taps;
          sum = sum + dy[(out * params.cols + col) * params.taps + k];
        }
      }
      dx[row * params.cols + col] = sum;
    }
  }
}
