// attention-decode for GPUs: the same numbers from another division of work, since a decode step has
// few (branch, head) pairs and many keys. One workgroup owns a (branch, head); WG keys at a time,
// each thread takes the score of one, then the threads take vec4s of the head, each for every
// PARTS-th key. Online softmax in f32; keys in ascending order of (prefix, suffix) within a part.
// A row with a score of NaN or +inf, or with none above -inf, gets NaN.
// uses: reduce, nan

const HEAD_DIM: u32 = 32u;   // D, multiple of 4, up to 4 * WG
const WG: u32 = 128u;
const VECS: u32 = HEAD_DIM / 4u;
const PARTS: u32 = WG / VECS;
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

var<workgroup> weights: array<f32, WG>;
var<workgroup> query: array<vec4<f32>, VECS>;
var<workgroup> sums: array<vec4<f32>, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let slot = wg.x + wg.y * grid.x;
  if (slot >= params.rows * params.heads) {
    return;
  }
  let row = slot / params.heads;
  let kv_head = slot % params.heads / (params.heads / params.kvHeads);
  let prefix = table[row];
  let length = prefix.y - prefix.x;
  let count = length + min(state[0], params.capacity - 1u) + 1u;
  // Rows of the prefix and suffix bindings for key i: i + prefix.x and i + suffix (both may wrap).
  let suffix = row * params.capacity - length;
  let vec = lane % VECS;
  let part = lane / VECS;
  if (lane < VECS) {
    query[lane] = q[slot * VECS + lane] * params.scale;
  }
  workgroupBarrier();
  var top = NONE;
  var total = 0.0;
  var broken = false;
  var sum = vec4<f32>(0.0);
  for (var first = 0u; first < count; first = first + WG) {
    let key = first + lane;
    var product = vec4<f32>(0.0);
    if (key < length) {
      let at = ((key + prefix.x) * params.kvHeads + kv_head) * VECS;
      for (var i = 0u; i < VECS; i = i + 1u) {
        product = product + query[i] * prefixK[at + i];
      }
    } else if (key < count) {
      let at = ((key + suffix) * params.kvHeads + kv_head) * VECS;
      for (var i = 0u; i < VECS; i = i + 1u) {
        product = product + query[i] * suffixK[at + i];
      }
    }
    let seen = key < count;
    let product_sum = (product.x + product.y) + (product.z + product.w);
    broken = broken || (seen && breaks_softmax(product_sum));
    let score = select(NONE, product_sum, seen);
    let highest = max(top, workgroup_max(score, lane));
    let keep = exp(max(top - highest, -100.0));
    top = highest;
    let weight = select(0.0, exp(max(score - top, -100.0)), seen);
    total = total * keep + weight;
    weights[lane] = weight;
    workgroupBarrier();
    sum = sum * keep;
    for (var j = part; j < min(WG, count - first) && part < PARTS; j = j + PARTS) {
      let own = first + j;
      if (own < length) {
        sum = sum + weights[j] * prefixV[((own + prefix.x) * params.kvHeads + kv_head) * VECS + vec];
      } else {
        sum = sum + weights[j] * suffixV[((own + suffix) * params.kvHeads + kv_head) * VECS + vec];
      }
    }
    workgroupBarrier();
  }
  total = workgroup_sum(total, lane);
  broken = workgroup_max(select(0.0, 1.0, broken), lane) > 0.0 || !(top > NONE);
  sums[lane] = sum;
  workgroupBarrier();
  if (lane < VECS) {
    var result = vec4<f32>(0.0);
    for (var p = 0u; p < PARTS; p = p + 1u) {
      result = result + sums[p * VECS + lane];
    }
    if (broken) {
      o[slot * VECS + lane] = vec4<f32>(nan_if(true, total));
    } else {
      o[slot * VECS + lane] = result / total;
    }
  }
}
