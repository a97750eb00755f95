// Second of the sampler's three kernels. Per row, one token from the scores: top-k, then top-p, then
// min-p, then the inverse distribution function in index order with a Philox number whose counter is
// (draw, sample, completion, step). One workgroup a row.
//
// Everything that decides is integer: a token's weight is fixed_exp(best - score), sums are 64-bit
// (two words), thresholds are found by radix on order-preserving bits of the scores, eight bits at a
// time from the top. Hence the choice is the same on every device, for every WG and batch, and equals
// src/reference/sampler.ts for equal logits. Tokens of equal score stay or go together.
// uses: philox, fixed-exp

const WG: u32 = 64u;
const NONE: f32 = -3.4e38;

struct Params {
  rows: u32,
  vocab: u32,
  seed: u32,
  topK: u32,
  topP: u32,
  minWeight: u32,
  pad: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;        // [rows, vocab]
@group(0) @binding(1) var<storage, read> scores: array<f32>;        // [rows, vocab]
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>;   // [rows, 2], of sample-scores
@group(0) @binding(3) var<storage, read> info: array<vec4<u32>>;    // [rows]: sample, completion, draw, flags (1 greedy)
@group(0) @binding(4) var<storage, read> state: array<u32>;         // [0]: current step
@group(0) @binding(5) var<storage, read> done: array<u32>;          // [rows]: 0 = running
@group(0) @binding(6) var<storage, read_write> next: array<u32>;    // [rows]: the token, or pad
@group(0) @binding(7) var<storage, read_write> choice: array<u32>;  // [rows, 8]: see the end
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> low: array<atomic<u32>, 256>;
var<workgroup> high: array<atomic<u32>, 256>;
var<workgroup> found: array<u32, 4>;
var<workgroup> winner: atomic<u32>;

// 64-bit numbers are (low, high) words.
fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let sum = a.x + b.x;
  return vec2<u32>(sum, a.y + b.y + select(0u, 1u, sum < a.x));
}

fn less64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// floor(a * b / 2^32), and 1 more when `up` and the quotient is not whole.
fn scale64(a: vec2<u32>, b: u32, up: bool) -> vec2<u32> {
  let whole = add64(vec2<u32>(a.y * b, mul_hi(a.y, b)), vec2<u32>(mul_hi(a.x, b), 0u));
  return add64(whole, vec2<u32>(select(0u, 1u, up && a.x * b != 0u), 0u));
}

// Bits whose unsigned order is the order of floats; a banned token has 0.
fn key_of(score: f32) -> u32 {
  let raw = bitcast<u32>(score);
  let bits = select(raw, 0u, raw == 0x80000000u);
  let key = select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
  return select(key, 0u, score <= NONE);
}

fn add_to_bucket(bucket: u32, value: vec2<u32>) {
  let before = atomicAdd(&low[bucket], value.x);
  let carry = select(0u, 1u, before + value.x < before);
  if (value.y + carry != 0u) {
    atomicAdd(&high[bucket], value.y + carry);
  }
}

fn clear_buckets(lane: u32) {
  workgroupBarrier();
  for (var i = lane; i < 256u; i = i + WG) {
    atomicStore(&low[i], 0u);
    atomicStore(&high[i], 0u);
  }
  workgroupBarrier();
}

fn bucket_value(bucket: u32) -> vec2<u32> {
  return vec2<u32>(atomicLoad(&low[bucket]), atomicLoad(&high[bucket]));
}

// The largest key with at least `goal` in the tokens of that key and above, counting 1 a token or its
// weight; 0 when all tokens of key >= `floor_key` together have less.
fn crossing(base: u32, best: f32, floor_key: u32, goal: vec2<u32>, by_weight: bool, lane: u32) -> u32 {
  var prefix = 0u;
  var above = vec2<u32>(0u);
  for (var shift = 24; shift >= 0; shift = shift - 8) {
    clear_buckets(lane);
    for (var i = lane; i < params.vocab; i = i + WG) {
      let score = scores[base + i];
      let key = key_of(score);
      let inside = shift == 24 || (key >> (u32(shift + 8) % 32u)) == prefix;
      if (inside && key != 0u && key >= floor_key) {
        let value = select(1u, fixed_exp(best - score), by_weight);
        add_to_bucket((key >> u32(shift)) & 255u, vec2<u32>(value, 0u));
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var sum = above;
      found[0] = 256u;
      for (var b = 256u; b > 0u; b = b - 1u) {
        let more = add64(sum, bucket_value(b - 1u));
        if (!less64(more, goal)) {
          found[0] = b - 1u;
          break;
        }
        sum = more;
      }
      found[1] = sum.x;
      found[2] = sum.y;
    }
    workgroupBarrier();
    let bucket = workgroupUniformLoad(&found[0]);
    if (bucket == 256u) {
      return 0u;
    }
    prefix = (prefix << 8u) | bucket;
    above = vec2<u32>(found[1], found[2]);
  }
  return prefix;
}

// The weight of token i, 0 outside the support.
fn weight_of(i: u32, best: f32, floor_key: u32) -> u32 {
  let score = scores[i];
  let weight = fixed_exp(best - score);
  let key = key_of(score);
  return select(0u, weight, key != 0u && key >= floor_key && weight >= params.minWeight);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = wg.x + wg.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let best = stats[row * 2u + 1u].x;
  let broken = stats[row * 2u + 1u].y != 0.0;
  if (done[row] != 0u || broken || best <= NONE) {
    if (lane == 0u) {
      next[row] = params.pad;
      choice[row * 8u] = params.pad;
      choice[row * 8u + 1u] = select(select(2u, 3u, broken), 1u, done[row] != 0u);
    }
    return;
  }
  let base = row * params.vocab;
  let who = info[row];
  let greedy = (who.w & 1u) != 0u;
  var floor_key = 0u;
  if (greedy) {
    floor_key = key_of(best);
  } else {
    if (params.topK > 0u && params.topK < params.vocab) {
      floor_key = crossing(base, best, 0u, vec2<u32>(params.topK, 0u), false, lane);
    }
    if (params.topP > 0u) {
      clear_buckets(lane);
      var mass = vec2<u32>(0u);
      for (var i = lane; i < params.vocab; i = i + WG) {
        let key = key_of(scores[base + i]);
        if (key != 0u && key >= floor_key) {
          mass = add64(mass, vec2<u32>(fixed_exp(best - scores[base + i]), 0u));
        }
      }
      add_to_bucket(0u, mass);
      workgroupBarrier();
      let goal = scale64(bucket_value(0u), params.topP, true);
      floor_key = max(floor_key, crossing(base, best, floor_key, goal, true, lane));
    }
  }
  // Each thread sums one run of tokens, so that the runs in order give the distribution function.
  let run = (params.vocab + WG - 1u) / WG;
  let begin = min(lane * run, params.vocab);
  let end = min(begin + run, params.vocab);
  clear_buckets(lane);
  var mass = vec2<u32>(0u);
  for (var i = begin; i < end; i = i + 1u) {
    mass = add64(mass, vec2<u32>(weight_of(base + i, best, floor_key), 0u));
  }
  atomicStore(&low[lane], mass.x);
  atomicStore(&high[lane], mass.y);
  if (lane == 0u) {
    atomicStore(&winner, 0u);
  }
  workgroupBarrier();
  var total = vec2<u32>(0u);
  var before = vec2<u32>(0u);
  for (var i = 0u; i < WG; i = i + 1u) {
    if (i == lane) {
      before = total;
    }
    total = add64(total, bucket_value(i));
  }
  let random = philox(vec4<u32>(who.z, who.x, who.y, state[0]), vec2<u32>(params.seed, 1u));
  // Greedy takes the first of the highest scores: goal 0 is reached by the first weight.
  let goal = select(scale64(total, random.x, false), vec2<u32>(0u), greedy);
  if (!less64(goal, before) && less64(goal, add64(before, mass))) {
    for (var i = begin; i < end; i = i + 1u) {
      before = add64(before, vec2<u32>(weight_of(base + i, best, floor_key), 0u));
      if (less64(goal, before)) {
        atomicStore(&winner, i);
        break;
      }
    }
  }
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }
  let token = atomicLoad(&winner);
  let full = stats[row * 2u];
  let mass_log = log((f32(total.y) * 4294967296.0 + f32(total.x)) / 1073741824.0);
  let sampled = select((scores[base + token] - best) - mass_log, 0.0, greedy);
  next[row] = token;
  // (token, 0 chosen | 1 done before | 2 all banned | 3 bad logits, then four f32: log p of the full
  // softmax, log p of the distribution sampled from, entropy of the full softmax, banned mass)
  let at = row * 8u;
  choice[at] = token;
  choice[at + 1u] = 0u;
  choice[at + 2u] = bitcast<u32>((logits[base + token] * stats[row * 2u + 1u].z - full.x) - full.y);
  choice[at + 3u] = bitcast<u32>(sampled);
  choice[at + 4u] = bitcast<u32>(full.z);
  choice[at + 5u] = bitcast<u32>(full.w);
}
