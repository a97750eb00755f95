// Attention of packed rows with online softmax (Milakov and Gimelshein 2018; Dao et al. 2022,
// algorithm 1): o = softmax(scale * q k^T) v over the keys that each row's segments allow.
//
// One thread (or SPLIT threads, each with every SPLIT-th vec4 of the head) owns one (row, head);
// the heads that share a key head lie side by side, so that a workgroup walks one list of keys. The
// list is the union over its rows, uniform, hence keys are read once for all threads. All sums in
// f32, keys in ascending order of (first range, second range).
// MERGE: o and lse hold the result over earlier keys, which is combined with this binding's.
// A row with a score of NaN or +inf gets NaN, as does one whose scores are all -inf (its lse is -inf).
// uses: segments, nan

const HEAD_DIM: u32 = 32u;   // D, multiple of 4 * SPLIT, up to 128
const WG: u32 = 8u;          // threads
const SPLIT: u32 = 1u;       // threads for one (row, head)
const KEYS: u32 = 4u;        // keys between two updates of the running maximum
const STAGE: bool = false;   // copy keys and values to workgroup memory first
const MERGE: bool = false;

const ITEMS: u32 = WG / SPLIT;
const VECS: u32 = HEAD_DIM / 4u;
const PART: u32 = VECS / SPLIT;
const TILE: u32 = select(1u, KEYS * VECS, STAGE);
const PARTIALS: u32 = select(1u, KEYS * WG, SPLIT > 1u);
const NONE: f32 = -3e38;

struct Params {
  rows: u32,
  heads: u32,
  kvHeads: u32,
  keyFirst: u32,
  keyCount: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;         // [rows, heads, D]
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;         // [keyCount, kvHeads, D]
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;         // [keyCount, kvHeads, D]
@group(0) @binding(3) var<storage, read> segments: array<vec4<u32>>;  // [rows]
@group(0) @binding(4) var<storage, read_write> o: array<vec4<f32>>;   // [rows, heads, D]
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;       // [rows, heads]
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> key_tile: array<vec4<f32>, TILE>;
var<workgroup> value_tile: array<vec4<f32>, TILE>;
var<workgroup> partials: array<f32, PARTIALS>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = params.heads / params.kvHeads;
  let items = params.rows * group;
  let index = wg.x + wg.y * grid.x;
  let first_item = (index / params.kvHeads) * ITEMS;
  if (first_item >= items) {
    return;
  }
  let kv_head = index % params.kvHeads;
  let last_item = min(first_item + ITEMS, items) - 1u;
  let keys = united_keys(first_item / group, last_item / group, params.keyFirst,
                         params.keyFirst + params.keyCount);
  // Surplus threads follow along with the last item and write nothing.
  let own = first_item + lane / SPLIT <= last_item;
  let item = min(first_item + lane / SPLIT, last_item);
  let part = lane % SPLIT;
  let row = item / group;
  let slot = row * params.heads + kv_head * group + item % group;
  let segment = segments[row];
  var query: array<vec4<f32>, PART>;
  var sum: array<vec4<f32>, PART>;
  var top = NONE;
  var total = 0.0;
  var broken = false;
  var saw = sees_any(segment, params.keyFirst, params.keyFirst + params.keyCount);
  for (var i = 0u; i < PART; i = i + 1u) {
    query[i] = q[slot * VECS + i * SPLIT + part] * params.scale;
    sum[i] = vec4<f32>(0.0);
  }
  if (MERGE) {
    top = lse[slot];
    broken = is_nan(top);
    saw = saw || bitcast<u32>(top) == 0xff800000u;
    total = select(0.0, 1.0, top > NONE);
    for (var i = 0u; i < PART; i = i + 1u) {
      sum[i] = select(vec4<f32>(0.0), o[slot * VECS + i * SPLIT + part], top > NONE);
    }
  }
  for (var range = 0u; range < 2u; range = range + 1u) {
    let bounds = select(keys.zw, keys.xy, range == 0u);
    for (var first = bounds.x; first < bounds.y; first = first + KEYS) {
      if (STAGE) {
        for (var i = lane; i < TILE; i = i + WG) {
          let key = min(first + i / VECS, bounds.y - 1u) - params.keyFirst;
          let at = (key * params.kvHeads + kv_head) * VECS + i % VECS;
          key_tile[i] = k[at];
          value_tile[i] = v[at];
        }
        workgroupBarrier();
      }
      var score: array<f32, KEYS>;
      for (var j = 0u; j < KEYS; j = j + 1u) {
        let key = min(first + j, bounds.y - 1u) - params.keyFirst;
        let at = select((key * params.kvHeads + kv_head) * VECS, j * VECS, STAGE) + part;
        var product = vec4<f32>(0.0);
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            product = product + query[i] * key_tile[at + i * SPLIT];
          } else {
            product = product + query[i] * k[at + i * SPLIT];
          }
        }
        score[j] = (product.x + product.y) + (product.z + product.w);
      }
      if (SPLIT > 1u) {
        for (var j = 0u; j < KEYS; j = j + 1u) {
          partials[j * WG + lane] = score[j];
        }
        workgroupBarrier();
        for (var j = 0u; j < KEYS; j = j + 1u) {
          score[j] = 0.0;
          for (var p = 0u; p < SPLIT; p = p + 1u) {
            score[j] = score[j] + partials[j * WG + lane - part + p];
          }
        }
      }
      var highest = top;
      for (var j = 0u; j < KEYS; j = j + 1u) {
        let seen = first + j < bounds.y && sees(segment, first + j);
        broken = broken || (seen && breaks_softmax(score[j]));
        score[j] = select(NONE, score[j], seen);
        highest = max(highest, score[j]);
      }
      let keep = exp(max(top - highest, -100.0));
      top = highest;
      total = total * keep;
      for (var j = 0u; j < KEYS; j = j + 1u) {
        score[j] = select(0.0, exp(max(score[j] - top, -100.0)), score[j] > NONE);
        total = total + score[j];
      }
      for (var i = 0u; i < PART; i = i + 1u) {
        sum[i] = sum[i] * keep;
      }
      for (var j = 0u; j < KEYS; j = j + 1u) {
        let key = min(first + j, bounds.y - 1u) - params.keyFirst;
        let at = select((key * params.kvHeads + kv_head) * VECS, j * VECS, STAGE) + part;
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            sum[i] = sum[i] + score[j] * value_tile[at + i * SPLIT];
          } else {
            sum[i] = sum[i] + score[j] * v[at + i * SPLIT];
          }
        }
      }
      if (STAGE || SPLIT > 1u) {
        workgroupBarrier();
      }
    }
  }
  if (!own) {
    return;
  }
  let scale = select(0.0, 1.0 / total, total > 0.0);
  let empty = saw && !(total > 0.0);
  for (var i = 0u; i < PART; i = i + 1u) {
    let value = sum[i] * scale;
    if (broken || empty) {
      o[slot * VECS + i * SPLIT + part] = vec4<f32>(nan_if(true, value.x));
    } else {
      o[slot * VECS + i * SPLIT + part] = value;
    }
  }
  if (part == 0u) {
    let value = select(NONE, top + log(total), total > 0.0);
    lse[slot] = nan_if(broken, minus_inf_if(empty, value));
  }
}
