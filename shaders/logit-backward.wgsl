// Gradient of a tile of logits, in place: with z = logit * invTemperature, p = exp(z - lse),
// d logit = invTemperature * (dlogp * (onehot - p) - dentropy * p * (log p + H)).
// A workgroup takes WG * PER columns of one row.
// uses: nan

const WG: u32 = 64u;
const PER: u32 = 8u;   // columns a thread
const SPAN: u32 = WG * PER;

struct Params {
  rows: u32,
  cols: u32,
  first: u32,
  invTemperature: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;  // [rows, cols], becomes d logits
@group(0) @binding(1) var<storage, read> targets: array<u32>;          // [rows]
@group(0) @binding(2) var<storage, read> out: array<f32>;              // [rows, 3], of logit-finish
@group(0) @binding(3) var<storage, read> grad: array<vec2<f32>>;       // [rows]: dL/dlogp, dL/dentropy
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let spans = (params.cols + SPAN - 1u) / SPAN;
  let index = wg.x + wg.y * grid.x;
  let row = index / spans;
  if (row >= params.rows) {
    return;
  }
  let begin = index % spans * SPAN;
  let end = min(begin + SPAN, params.cols);
  let column = targets[row] - params.first;
  let lse = out[row * 3u + 1u];
  let entropy = out[row * 3u + 2u];
  let g = grad[row];
  let base = row * params.cols;
  for (var col = begin + lane; col < end; col = col + WG) {
    let log_p = at_least(logits[base + col] * params.invTemperature - lse, -1000.0);
    let p = exp(log_p);
    let hit = select(0.0, 1.0, col == column);
    logits[base + col] =
      params.invTemperature * (g.x * (hit - p) - g.y * p * (log_p + entropy));
  }
}
