// Attention of one new query row per branch: over the branch's shared prefix (a range of prefix
// rows), then over its own suffix rows 0 .. state[0]. Online softmax in f32, ascending order.
//
// One thread owns one (branch, head). Branches of one prompt lie side by side, so the workgroup
// walks the union of its prefixes once with uniform addresses; the suffix is each thread's own.
// A row with a score of NaN or +inf, or with none above -inf, gets NaN.
// uses: nan

const HEAD_DIM: u32 = 32u;   // D, multiple of 4, up to 128
const WG: u32 = 8u;
const KEYS: u32 = 4u;        // keys between two updates of the running maximum
const VECS: u32 = HEAD_DIM / 4u;
const NONE: f32 = -3e38;

struct Params {
  rows: u32,
  heads: u32,
  kvHeads: u32,
  capacity: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;        // [rows, heads, D]
@group(0) @binding(1) var<storage, read> prefixK: array<vec4<f32>>;  // [prefix rows, kvHeads, D]
@group(0) @binding(2) var<storage, read> prefixV: array<vec4<f32>>;  // [prefix rows, kvHeads, D]
@group(0) @binding(3) var<storage, read> suffixK: array<vec4<f32>>;  // [rows, capacity, kvHeads, D]
@group(0) @binding(4) var<storage, read> suffixV: array<vec4<f32>>;  // [rows, capacity, kvHeads, D]
@group(0) @binding(5) var<storage, read> table: array<vec2<u32>>;    // [rows]: prefix start, end
@group(0) @binding(6) var<storage, read> state: array<u32>;          // [0]: current step
@group(0) @binding(7) var<storage, read_write> o: array<vec4<f32>>;  // [rows, heads, D]
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = params.heads / params.kvHeads;
  let items = params.rows * group;
  let index = wg.x + wg.y * grid.x;
  let first_item = (index / params.kvHeads) * WG;
  if (first_item >= items) {
    return;
  }
  let kv_head = index % params.kvHeads;
  let last_item = min(first_item + WG, items) - 1u;
  var bounds = vec2<u32>(0xffffffffu, 0u);
  for (var row = first_item / group; row <= last_item / group; row = row + 1u) {
    let range = table[row];
    bounds = vec2<u32>(min(bounds.x, range.x), max(bounds.y, range.y));
  }
  let item = min(first_item + lane, last_item);
  let row = item / group;
  let slot = row * params.heads + kv_head * group + item % group;
  let prefix = table[row];
  var query: array<vec4<f32>, VECS>;
  var sum: array<vec4<f32>, VECS>;
  var top = NONE;
  var total = 0.0;
  var broken = false;
  for (var i = 0u; i < VECS; i = i + 1u) {
    query[i] = q[slot * VECS + i] * params.scale;
    sum[i] = vec4<f32>(0.0);
  }
  for (var first = bounds.x; first < bounds.y; first = first + KEYS) {
    var score: array<f32, KEYS>;
    for (var j = 0u; j < KEYS; j = j + 1u) {
      let at = (min(first + j, bounds.y - 1u) * params.kvHeads + kv_head) * VECS;
      var product = vec4<f32>(0.0);
      for (var i = 0u; i < VECS; i = i + 1u) {
        product = product + query[i] * prefixK[at + i];
      }
      let seen = first + j - prefix.x < prefix.y - prefix.x;
      score[j] = (product.x + product.y) + (product.z + product.w);
      broken = broken || (seen && breaks_softmax(score[j]));
      score[j] = select(NONE, score[j], seen);
    }
    var highest = top;
    for (var j = 0u; j < KEYS; j = j + 1u) {
      highest = max(highest, score[j]);
    }
    let keep = exp(max(top - highest, -100.0));
    top = highest;
    total = total * keep;
    for (var j = 0u; j < KEYS; j = j + 1u) {
      score[j] = select(0.0, exp(max(score[j] - top, -100.0)), score[j] > NONE);
      total = total + score[j];
    }
    for (var i = 0u; i < VECS; i = i + 1u) {
      sum[i] = sum[i] * keep;
    }
    for (var j = 0u; j < KEYS; j = j + 1u) {
      let at = (min(first + j, bounds.y - 1u) * params.kvHeads + kv_head) * VECS;
      for (var i = 0u; i < VECS; i = i + 1u) {
        sum[i] = sum[i] + score[j] * prefixV[at + i];
      }
    }
  }
  // One key at a time: these addresses differ between threads, and unrolling them pays nothing.
  let last = min(state[0], params.capacity - 1u);
  for (var step = 0u; step <= last; step = step + 1u) {
    let at = ((row * params.capacity + step) * params.kvHeads + kv_head) * VECS;
    var product = vec4<f32>(0.0);
    for (var i = 0u; i < VECS; i = i + 1u) {
      product = product + query[i] * suffixK[at + i];
    }
    let score = (product.x + product.y) + (product.z + product.w);
    broken = broken || breaks_softmax(score);
    let highest = max(top, score);
    let keep = exp(max(top - highest, -100.0));
    let weight = exp(max(score - highest, -100.0));
    top = highest;
    total = total * keep + weight;
    for (var i = 0u; i < VECS; i = i + 1u) {
      sum[i] = sum[i] * keep + weight * suffixV[at + i];
    }
  }
  if (first_item + lane > last_item) {
    return;
  }
  if (broken || !(top > NONE)) {
    for (var i = 0u; i < VECS; i = i + 1u) {
      o[slot * VECS + i] = vec4<f32>(nan_if(true, total));
    }
    return;
  }
  for (var i = 0u; i < VECS; i = i + 1u) {
    o[slot * VECS + i] = sum[i] / total;
  }
}
