// Gradients of attention with respect to keys and values (Dao et al. 2022, algorithm 4), for the
// query rows [q0, q1) that see each key: dv = sum of p dO, dk = scale * sum of dS q, with
// p = exp(scale * q k - lse) and dS = p * (dO v - delta).
//
// SPLIT threads, each with every SPLIT-th vec4 of the head, own one key of one key head. The
// workgroup walks the union of its keys' rows once, in ascending order of (row, head), so q and dO
// are read once for all threads. No atomics; sums in f32. ACCUMULATE adds to dk and dv.

const HEAD_DIM: u32 = 32u;   // D, multiple of 4 * SPLIT, up to 128
const WG: u32 = 8u;          // threads
const SPLIT: u32 = 1u;       // threads for one key
const QUERIES: u32 = 2u;     // (row, head) pairs in flight
const STAGE: bool = false;   // copy q and dO to workgroup memory first
const ACCUMULATE: bool = false;

const ITEMS: u32 = WG / SPLIT;
const VECS: u32 = HEAD_DIM / 4u;
const PART: u32 = VECS / SPLIT;
const TILE: u32 = select(1u, QUERIES * VECS, STAGE);
const PARTIALS: u32 = select(1u, QUERIES * WG, SPLIT > 1u);

struct Params {
  keys: u32,
  heads: u32,
  kvHeads: u32,
  rowFirst: u32,
  rowCount: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;          // [rowCount, heads, D]
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;          // [keys, kvHeads, D]
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;          // [keys, kvHeads, D]
@group(0) @binding(3) var<storage, read> dO: array<vec4<f32>>;         // [rowCount, heads, D]
@group(0) @binding(4) var<storage, read> stats: array<vec2<f32>>;      // [rowCount, heads]: lse, delta
@group(0) @binding(5) var<storage, read> keyRanges: array<vec2<u32>>;  // [keys]
@group(0) @binding(6) var<storage, read_write> dk: array<vec4<f32>>;   // [keys, kvHeads, D]
@group(0) @binding(7) var<storage, read_write> dv: array<vec4<f32>>;   // [keys, kvHeads, D]
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> query_tile: array<vec4<f32>, TILE>;
var<workgroup> upstream_tile: array<vec4<f32>, TILE>;
var<workgroup> partials: array<vec2<f32>, PARTIALS>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = params.heads / params.kvHeads;
  let index = wg.x + wg.y * grid.x;
  let first_key = (index / params.kvHeads) * ITEMS;
  if (first_key >= params.keys) {
    return;
  }
  let kv_head = index % params.kvHeads;
  let last_key = min(first_key + ITEMS, params.keys) - 1u;
  var first_row = 0xffffffffu;
  var last_row = 0u;
  for (var key = first_key; key <= last_key; key = key + 1u) {
    let range = keyRanges[key];
    if (range.x < range.y) {
      first_row = min(first_row, range.x);
      last_row = max(last_row, range.y);
    }
  }
  first_row = max(first_row, params.rowFirst);
  last_row = min(last_row, params.rowFirst + params.rowCount);
  let own = first_key + lane / SPLIT <= last_key;
  let own_key = min(first_key + lane / SPLIT, last_key);
  let part = lane % SPLIT;
  let rows = keyRanges[own_key];
  let base = (own_key * params.kvHeads + kv_head) * VECS + part;
  var key: array<vec4<f32>, PART>;
  var value: array<vec4<f32>, PART>;
  var key_sum: array<vec4<f32>, PART>;
  var value_sum: array<vec4<f32>, PART>;
  for (var i = 0u; i < PART; i = i + 1u) {
    key[i] = k[base + i * SPLIT] * params.scale;
    value[i] = v[base + i * SPLIT];
    key_sum[i] = vec4<f32>(0.0);
    value_sum[i] = vec4<f32>(0.0);
  }
  if (first_row < last_row) {
    // Queries are counted over (row, head of the group), from the binding's first row.
    let end = (last_row - params.rowFirst) * group;
    for (var first = (first_row - params.rowFirst) * group; first < end; first = first + QUERIES) {
      if (STAGE) {
        for (var i = lane; i < TILE; i = i + WG) {
          let query = min(first + i / VECS, end - 1u);
          let slot = query / group * params.heads + kv_head * group + query % group;
          query_tile[i] = q[slot * VECS + i % VECS];
          upstream_tile[i] = dO[slot * VECS + i % VECS];
        }
        workgroupBarrier();
      }
      // (q k, dO v) of each query.
      var pair: array<vec2<f32>, QUERIES>;
      for (var j = 0u; j < QUERIES; j = j + 1u) {
        let query = min(first + j, end - 1u);
        let slot = query / group * params.heads + kv_head * group + query % group;
        let at = select(slot * VECS, j * VECS, STAGE) + part;
        var s = vec4<f32>(0.0);
        var dp = vec4<f32>(0.0);
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            s = s + key[i] * query_tile[at + i * SPLIT];
            dp = dp + value[i] * upstream_tile[at + i * SPLIT];
          } else {
            s = s + key[i] * q[at + i * SPLIT];
            dp = dp + value[i] * dO[at + i * SPLIT];
          }
        }
        pair[j] = vec2<f32>((s.x + s.y) + (s.z + s.w), (dp.x + dp.y) + (dp.z + dp.w));
      }
      if (SPLIT > 1u) {
        for (var j = 0u; j < QUERIES; j = j + 1u) {
          partials[j * WG + lane] = pair[j];
        }
        workgroupBarrier();
        for (var j = 0u; j < QUERIES; j = j + 1u) {
          pair[j] = vec2<f32>(0.0);
          for (var p = 0u; p < SPLIT; p = p + 1u) {
            pair[j] = pair[j] + partials[j * WG + lane - part + p];
          }
        }
      }
      for (var j = 0u; j < QUERIES; j = j + 1u) {
        let query = min(first + j, end - 1u);
        let slot = query / group * params.heads + kv_head * group + query % group;
        let at = select(slot * VECS, j * VECS, STAGE) + part;
        let stat = stats[slot];
        let row = query / group + params.rowFirst;
        let seen = first + j < end && row - rows.x < rows.y - rows.x;
        // A row that does not see the key may have any score: keep exp from overflowing there.
        let p = select(0.0, exp(select(-100.0, pair[j].x - stat.x, seen)), seen);
        let ds = p * (pair[j].y - stat.y);
        for (var i = 0u; i < PART; i = i + 1u) {
          if (STAGE) {
            value_sum[i] = value_sum[i] + p * upstream_tile[at + i * SPLIT];
            key_sum[i] = key_sum[i] + ds * query_tile[at + i * SPLIT];
          } else {
            value_sum[i] = value_sum[i] + p * dO[at + i * SPLIT];
            key_sum[i] = key_sum[i] + ds * q[at + i * SPLIT];
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
    let at = base + i * SPLIT;
    if (ACCUMULATE) {
      dk[at] = dk[at] + key_sum[i] * params.scale;
      dv[at] = dv[at] + value_sum[i];
    } else {
      dk[at] = key_sum[i] * params.scale;
      dv[at] = value_sum[i];
    }
  }
}
