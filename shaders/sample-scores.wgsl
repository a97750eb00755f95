// First of the sampler's three kernels. Per row: the statistics of the full softmax of
// z = logit * invTemperature, and the scores to sample from: bans, repetition penalty (Keskar et al.
// 2019, section 4.1) and temperature. One workgroup a row; rows that are done are skipped.
//
// A score is one f32 product of the raw logit: by `invTemperature`, or for a token that is present by
// `positiveFactor` (1 / penalty / temperature) or `negativeFactor` (penalty / temperature). A greedy
// row's statistics are at temperature 1 and its scores too. A banned or -inf token scores NONE.
// uses: reduce, nan

const WG: u32 = 64u;
const NONE: f32 = -3.4e38;

struct Params {
  rows: u32,
  vocab: u32,
  invTemperature: f32,
  positiveFactor: f32,
  negativeFactor: f32,
  greedyPenalty: f32,
  greedyInverse: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;             // [rows, vocab]
@group(0) @binding(1) var<storage, read> info: array<vec4<u32>>;         // [rows]: sample, completion, draw, flags (1 greedy)
@group(0) @binding(2) var<storage, read> bans: array<u32>;               // [ceil(vocab / 32)] bits
@group(0) @binding(3) var<storage, read> presence: array<u32>;           // [rows, ceil(vocab / 32)] bits
@group(0) @binding(4) var<storage, read> done: array<u32>;               // [rows]: 0 = running
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;       // [rows, vocab]
@group(0) @binding(6) var<storage, read_write> stats: array<vec4<f32>>;  // [rows, 2]: see the end
@group(0) @binding(7) var<uniform> params: Params;

fn bit(word: u32, index: u32) -> bool {
  return ((word >> (index % 32u)) & 1u) != 0u;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = wg.x + wg.y * grid.x;
  if (row >= params.rows || done[row] != 0u) {
    return;
  }
  let greedy = (info[row].w & 1u) != 0u;
  let factor = select(params.invTemperature, 1.0, greedy);
  let positive = select(params.positiveFactor, params.greedyInverse, greedy);
  let negative = select(params.negativeFactor, params.greedyPenalty, greedy);
  let words = (params.vocab + 31u) / 32u;
  let base = row * params.vocab;
  var highest = NONE;
  var best = NONE;
  var broken = 0.0;
  for (var i = lane; i < params.vocab; i = i + WG) {
    let raw = logits[base + i];
    highest = max(highest, raw * factor);
    let present = bit(presence[row * words + i / 32u], i);
    let scale = select(factor, select(negative, positive, raw > 0.0), present);
    // A finite logit may overflow at a low temperature: its score is what counts.
    if (breaks_softmax(raw) || breaks_softmax(raw * factor) || breaks_softmax(raw * scale)) {
      broken = 1.0;
    }
    let banned = bit(bans[i / 32u], i) || bitcast<u32>(raw) == 0xff800000u;
    let score = select(max(raw * scale, NONE), NONE, banned);
    scores[base + i] = score;
    best = max(best, score);
  }
  broken = workgroup_max(broken, lane);
  let top = workgroup_max(highest, lane);
  best = workgroup_max(best, lane);
  var sum = 0.0;
  var weighted = 0.0;
  var banned_sum = 0.0;
  for (var i = lane; i < params.vocab; i = i + WG) {
    let z = max(logits[base + i] * factor - top, -1000.0);
    let e = exp(z);
    sum = sum + e;
    weighted = weighted + z * e;
    banned_sum = banned_sum + select(0.0, e, bit(bans[i / 32u], i));
  }
  sum = workgroup_sum(sum, lane);
  weighted = workgroup_sum(weighted, lane);
  banned_sum = workgroup_sum(banned_sum, lane);
  if (lane == 0u) {
    let log_sum = log(sum);
    // (max z, log sum exp(z - max), entropy, banned mass), (highest score, 1 if a logit or score is NaN or +inf)
    stats[row * 2u] = vec4<f32>(top, log_sum, log_sum - weighted / sum, banned_sum / sum);
    stats[row * 2u + 1u] = vec4<f32>(best, broken, factor, 0.0);
  }
}
