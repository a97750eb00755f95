// Gradient of attention with respect to the queries (Dao et al. 2022, algorithm 4):
// p = exp(scale * q k - lse), dS = p * (dO v - delta), dq = scale * sum over keys of dS k.
//
// Work is split as in attention.wgsl: SPLIT threads own a (row, head), keys are walked once for the
// workgroup in ascending order, sums in f32. ACCUMULATE adds to dq (another binding's keys).
// uses: segments

const HEAD_DIM: u32 = 32u;   // D, multiple of 4 * SPLIT, up to 128
const WG: u32 = 8u;          // threads
const SPLIT: u32 = 1u;       // threads for one (row, head)
const KEYS: u32 = 2u;        // keys in flight
const STAGE: bool = false;   // copy keys and values to workgroup memory first
const ACCUMULATE: bool = false;

const ITEMS: u32 = WG / SPLIT;
const VECS: u32 = HEAD_DIM / 4u;
const PART: u32 = VECS / SPLIT;
const TILE: u32 = select(1u, KEYS * VECS, STAGE);
const PARTIALS: u32 = select(1u, KEYS * WG, SPLIT > 1u);

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
@group(0) @binding(3) var<storage, read> dO: array<vec4<f32>>;        // [rows, heads, D]
@group(0) @binding(4) var<storage, read> stats: array<vec2<f32>>;     // [rows, heads]: lse, delta
@group(0) @binding(5) var<storage, read> segments: array<vec4<u32>>;  // [rows]
@group(0) @binding(6) var<storage, read_write> dq: array<vec4<f32>>;  // [rows, heads, D]
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> key_tile: array<vec4<f32>, TILE>;
var<workgroup> value_tile: array<vec4<f32>, TILE>;
var<workgroup> partials: array<vec2<f32>, PARTIALS>;

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
  let own = first_item + lane / SPLIT <= last_item;
  let item = min(first_item + lane / SPLIT, last_item);
  let part = lane % SPLIT;
  let row = item / group;
  let slot = row * params.heads + kv_head * group + item % group;
  let segment = segments[row];
  let stat = stats[slot];
  var query: array<vec4<f32>, PART>;
  var upstream: array<vec4<f32>, PART>;
  var sum: array<vec4<f32>, PART>;
  for (var i = 0u; i < PART; i = i + 1u) {
    query[i] = q[slot * VECS + i * SPLIT + part] * params.scale;
    upstream[i] = dO[slot * VECS + i * SPLIT + part];
    sum[i] = vec4<f32>(0.0);
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
      // (q k, dO v) of each key.
      var pair: array<vec2<f32>, KEYS>;
      for (var j = 0u; j < KEYS; j = j + 1u) {
        let key = min(first + j, bounds.y - 1u) - params.keyFirst;
        let at = select((key * params.kvHeads + kv_head) * VECS, j * VECS, STAGE) + part;
        var s = vec4<f32>(0.0);
        var dp = vec4<f32>(0.0);
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            s = s + query[i] * key_tile[at + i * SPLIT];
            dp = dp + upstream[i] * value_tile[at + i * SPLIT];
          } else {
            s = s + query[i] * k[at + i * SPLIT];
            dp = dp + upstream[i] * v[at + i * SPLIT];
          }
        }
        pair[j] = vec2<f32>((s.x + s.y) + (s.z + s.w), (dp.x + dp.y) + (dp.z + dp.w));
      }
      if (SPLIT > 1u) {
        for (var j = 0u; j < KEYS; j = j + 1u) {
          partials[j * WG + lane] = pair[j];
        }
        workgroupBarrier();
        for (var j = 0u; j < KEYS; j = j + 1u) {
          pair[j] = vec2<f32>(0.0);
          for (var p = 0u; p < SPLIT; p = p + 1u) {
            pair[j] = pair[j] + partials[j * WG + lane - part + p];
          }
        }
      }
      for (var j = 0u; j < KEYS; j = j + 1u) {
        let key = min(first + j, bounds.y - 1u) - params.keyFirst;
        let at = select((key * params.kvHeads + kv_head) * VECS, j * VECS, STAGE) + part;
        let seen = first + j < bounds.y && sees(segment, first + j);
        // A key that the row does not see may have any score: keep exp from overflowing there.
        let p = exp(select(-100.0, pair[j].x - stat.x, seen));
        let ds = select(0.0, p * (pair[j].y - stat.y), seen);
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            sum[i] = sum[i] + ds * key_tile[at + i * SPLIT];
          } else {
            sum[i] = sum[i] + ds * k[at + i * SPLIT];
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
  for (var i = 0u; i < PART; i = i + 1u) {
    let at = slot * VECS + i * SPLIT + part;
    let value = sum[i] * params.scale;
    if (ACCUMULATE) {
      dq[at] = dq[at] + value;
    } else {
      dq[at] = value;
    }
  }
}
